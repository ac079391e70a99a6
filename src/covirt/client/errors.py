# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the engine answers with that is no result; each is also what it means."""

from typing import Final

from covirt.common.errors import Conflict, Denied, Error, InvalidRequest, NotFound, Unavailable


class EngineSilent(Unavailable):
    template = "the engine does not answer at {url}: {reason}; covirt status tells how it is"


class EngineRefused(Error):
    """Fields: what, reason (the engine's own sentences)."""

    template = "the engine has refused to {what}: {reason}"


class RefusedNow(EngineRefused, Conflict):
    pass


class RefusedAsWritten(EngineRefused, InvalidRequest):
    pass


class NoSuchThing(EngineRefused, NotFound):
    pass


class NotAllowed(EngineRefused, Denied):
    pass


class BadLogin(EngineRefused, Denied):
    """The password is another one by now, or the token is worth nothing any more."""


class EngineFails(EngineRefused, Unavailable):
    pass


class NotLoggedIn(Denied):
    template = "you are not logged in: covirt login URL"


class NoSuchName(NotFound):
    """Fields: noun, name."""

    template = "there is no {noun} {name}; covirt {noun} list shows those that you may see"


class SeveralOfOneName(Conflict):
    """Fields: noun, name, ids."""

    template = "several {noun}s are called {name}; name one by its id: {ids}"


_BY_STATUS: Final = {400: RefusedAsWritten, 401: BadLogin, 403: NotAllowed, 404: NoSuchThing, 405: RefusedAsWritten,
                     409: RefusedNow, 413: RefusedAsWritten}  # fmt: skip


def refusal(status: int, what: str, reason: str) -> EngineRefused:
    """For an HTTP status of 400 or above."""
    return _BY_STATUS.get(status, EngineFails)(what=what, reason=reason)
