# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can come of asking a host: whether it may have done it is always clear from the class."""

from covirt.common.errors import Conflict, NotFound, Unavailable


class HostRefused(Conflict):
    """It has answered with an error, and has not done it. ``code`` and ``text`` are Vdsm's (hostapi.errors.Code)."""

    template = "Host {host} has refused {verb}: {text} (code {code})."

    def __init__(self, *, host: str, verb: str, code: int, text: str) -> None:
        super().__init__(host=host, verb=verb, code=code, text=text.rstrip("."))
        self.code = code
        self.text = text


class HostUnreachable(Unavailable):
    """Nothing was sent: it has not done it."""

    template = "Host {host} cannot be asked for {verb}: {reason}."


class HostRemoved(NotFound):
    """It was removed from the engine; what is left on it is no longer the engine's."""

    template = "Host {host} cannot be asked for {verb}: it was removed."


class HostUncertain(Unavailable):
    """It was asked and has not answered: it may have done it, or may do it yet."""

    template = "Host {host} has not answered {verb}: {reason}."


class BadAnswer(Unavailable):
    """What it has answered is not what the verb answers."""

    template = "Host {host} has answered {verb} with what makes no sense: {reason}."
