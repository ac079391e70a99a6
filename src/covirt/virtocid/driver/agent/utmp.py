# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who is logged in, by the container's utmp(5): records of fixed size, written by whoever likes to."""

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_USER_PROCESS: Final = 7
# glibc's struct utmp: type, pid, line, id, user, host, exit status, session, seconds, microseconds, address, reserve.
_SHORT: Final = struct.Struct("<h2xi32s4s32s256shhiii16s20x")
_LONG: Final = struct.Struct("<h2xi32s4s32s256shhqqq16s20x4x")  # where a session and times have 64 bits
_LAYOUTS: Final[Mapping[str, struct.Struct]] = MappingProxyType({"x86_64": _SHORT, "i686": _SHORT, "aarch64": _LONG})
_RECORDS: Final = 4096
_MICROSECONDS: Final = 1_000_000


def logged_in(data: bytes, machine: str) -> dict[str, float]:
    """The first login of each user, in seconds since the epoch; empty where the records' layout is not known."""
    layout = _LAYOUTS.get(machine)
    users: dict[str, float] = {}
    if layout is None:
        return users
    whole = len(data) // layout.size * layout.size
    for record in list(layout.iter_unpack(data[:whole]))[:_RECORDS]:
        kind, user, seconds, microseconds = record[0], record[4], record[9], record[10]
        name = _name(user)
        if kind != _USER_PROCESS or name is None or seconds < 0 or not 0 <= microseconds < _MICROSECONDS:
            continue
        when = seconds + microseconds / _MICROSECONDS
        users[name] = min(when, users.get(name, when))
    return users


def _name(field: bytes) -> str | None:
    name = field.partition(b"\0")[0]
    if not name or not name.isascii():
        return None
    text = name.decode()
    return text if text.isprintable() and " " not in text else None
