# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What keeps a change from being made."""

from typing import Final

from covirt.common.errors import (
    CommandFailed,
    Conflict,
    Denied,
    Error,
    InvalidRequest,
    NotFound,
    Unavailable,
    Unsupported,
)


class EngineStops(Unavailable):
    template = "The engine is stopping; what was begun goes on when it is started again."


class NotDone(Unavailable):
    """Of an operation that was given up for a bug. Fields: incident."""

    template = "Internal Engine Error. Incident {incident} in the engine's log has the reason."


class KeyOfAnother(Conflict):
    template = "The Idempotency-Key was sent with another request before; each request has a key of its own."


class RefusedAsConflict(Conflict):
    template = "{text}"


class RefusedAsInvalid(InvalidRequest):
    template = "{text}"


class RefusedAsNotFound(NotFound):
    template = "{text}"


class RefusedAsUnsupported(Unsupported):
    template = "{text}"


class RefusedAsDenied(Denied):
    template = "{text}"


class RefusedAsUnavailable(Unavailable):
    template = "{text}"


# An operation's failure is kept as words; this is how it gets its meaning again.
_BY_MEANING: Final[tuple[tuple[str, type[Error], type[Error]], ...]] = (
    ("conflict", Conflict, RefusedAsConflict),
    ("invalid", InvalidRequest, RefusedAsInvalid),
    ("not_found", NotFound, RefusedAsNotFound),
    ("unsupported", Unsupported, RefusedAsUnsupported),
    ("denied", Denied, RefusedAsDenied),
    ("unavailable", Unavailable, RefusedAsUnavailable),
    ("unavailable", CommandFailed, RefusedAsUnavailable),
)


def meaning_of(error: Error) -> str:
    return next((word for word, kind, _ in _BY_MEANING if isinstance(error, kind)), "unavailable")


def refusal(meaning: str, text: str) -> Error:
    """The error again, as good as a client sees it."""
    kind = next((made for word, _, made in _BY_MEANING if word == meaning), RefusedAsUnavailable)
    return kind(text=text)
