# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Signals by name or number, as XML, images and people write them."""

import re
import signal
from typing import Final

_REALTIME: Final = re.compile(r"RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?")
_NUMBERS: Final = {member.name.removeprefix("SIG"): int(member) for member in signal.Signals}
# glibc takes the first two real-time signals for itself; systemd's SIGRTMIN+3 counts from glibc's SIGRTMIN.
_RTMIN: Final = int(signal.SIGRTMIN)
_RTMAX: Final = int(signal.SIGRTMAX)


def signal_number(text: str) -> int:
    """``"SIGTERM"``, ``"term"``, ``"15"`` and ``"SIGRTMIN+3"`` to a number. Raises ValueError."""
    name = text.strip().upper().removeprefix("SIG")
    if re.fullmatch(r"[0-9]{1,2}", name):
        number = int(name)
    elif match := _REALTIME.fullmatch(name):
        offset = int(match[3] or 0) * (-1 if match[2] == "-" else 1)
        number = (_RTMIN if match[1] == "MIN" else _RTMAX) + offset
        if not _RTMIN <= number <= _RTMAX:
            raise ValueError(f"{text!r} is not a real-time signal")
    else:
        number = _NUMBERS.get(name, 0)
    if not 1 <= number <= _RTMAX:
        raise ValueError(f"{text!r} is not a signal; write one such as SIGTERM, SIGRTMIN+3 or 15")
    return number


def signal_name(text: str) -> str:
    """The one spelling we write: ``"15"`` and ``"term"`` become ``"SIGTERM"``. Raises ValueError."""
    number = signal_number(text)
    if number > _RTMIN:
        return f"SIGRTMIN+{number - _RTMIN}" if number < _RTMAX else "SIGRTMAX"
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
