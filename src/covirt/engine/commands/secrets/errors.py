# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why a secret is not what somebody wants it to be. No value is ever told."""

from covirt.common.errors import Conflict, InvalidRequest


class BadSecretName(InvalidRequest):
    template = (
        "Cannot add Secret. Its name may have letters of ASCII, digits, dots, hyphens and underscores, begins with a "
        "letter or a digit, and is at most 63 characters long."
    )


class BadSecretValue(InvalidRequest):
    """Fields: action, reason."""

    template = "Cannot {action} Secret. {reason}"


class SecretNameInUse(Conflict):
    """Fields: name."""

    template = "Cannot add Secret. There is a secret called {name} already; change its value, or choose another name."


class SecretInUse(Conflict):
    """Fields: name, users."""

    template = "Cannot remove Secret. {name} is given to: {users}. Take it out of their containerSecrets first."


class NoSuchSecret(Conflict):
    """Fields: action, name."""

    template = "Cannot {action}. There is no secret called {name}."


class TooMuchSecret(Conflict):
    """Fields: action, size_bytes, most_bytes."""

    template = (
        "Cannot {action}. Its secrets have {size_bytes} bytes together, counted in each place, and a container is "
        "given {most_bytes} at most. Give fewer, or keep what is large on a volume."
    )


class NotForThis(Conflict):
    """Fields: action, name, reason."""

    template = "Cannot {action}. Secret {name} {reason}."
