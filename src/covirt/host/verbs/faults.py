# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Errors in Vdsm's numbers; the only place that knows both."""

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
from covirt.hostapi.errors import TEXTS, CallRefused, Code

# The first row that fits counts: precise classes come before the seven meanings.
_CODES: Final[tuple[tuple[type[Error], Code], ...]] = (
    (Unsupported, Code.UNSUPPORTED),
    (InvalidRequest, Code.INVALID_PARAMETER),
    (NotFound, Code.UNEXPECTED),
    (Conflict, Code.UNEXPECTED),
    (Denied, Code.UNEXPECTED),
    (Unavailable, Code.RESOURCE_UNAVAILABLE),
    (CommandFailed, Code.UNEXPECTED),
    (Error, Code.UNEXPECTED),
)


def refusal_of(error: Error) -> CallRefused:
    """The answer for an expected error: Vdsm's code, and its text before our sentence."""
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    text = TEXTS.get(code)
    return CallRefused(code, f"{text}: {{'reason': {str(error)!r}}}" if text else str(error))
