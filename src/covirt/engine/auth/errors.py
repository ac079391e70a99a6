# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why somebody is not let in, or not let do something."""

from covirt.common.errors import Denied, Unavailable


class Unauthenticated(Denied):
    """Nobody is known to ask: no token or password came, or none that counts. On HTTP this is 401."""

    template = "Authentication required."


class BadCredentials(Unauthenticated):
    """Says the same whether the user does not exist or the password is wrong. Fields: user (as in admin@internal)."""

    template = "Cannot authenticate user '{user}': The user name or password is incorrect."


class NoProfile(Unauthenticated):
    template = (
        "Cannot authenticate user '{user}': No valid profile found in credentials; write it like {user}@internal."
    )


class AccountDisabled(Unauthenticated):
    template = (
        "Unable to log in because the user account is disabled or locked. Contact the system administrator. "
        "(user {user})"
    )


class TooManyFailures(Unavailable):
    """Fields: seconds."""

    template = "Too many failed logins; try again in {seconds} seconds."


class LoginsBusy(Unavailable):
    template = "Too many logins at the same time; try again."


class TokenExpired(Unauthenticated):
    template = "The access token is unknown, expired or revoked; log in again."


class WrongPassword(Denied):
    """Of who is logged in, and asked for another one."""

    template = "The current password is another one; nothing was changed."


class MissingPermit(Denied):
    """Fields: user, permit, object (type and id)."""

    template = "User is not authorized to perform this action. (user {user}, permit {permit}, on {object})"


class MustFilter(Denied):
    """A user who is no administrator must ask for the filtered view (``filter=true``). Fields: user."""

    template = (
        "query execution failed due to insufficient permissions. "
        "(user {user} has no administrator's role; ask with filter=true)"
    )
