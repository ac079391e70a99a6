# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""MAC addresses: what is one, and which one of a pool is free."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from covirt.engine.model.network import MacPool, MacRange
from covirt.engine.vms.errors import BadMac, NoFreeMac

_MAC: Final = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_MULTICAST: Final = 1 << 40
_MOST_TRIES: Final = 1 << 17  # each asks the database; a pool of more addresses has a free one among them


def read_mac(text: str) -> str:
    """In lower case with colons. Raises BadMac."""
    mac = text.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(mac) or _number(mac) & _MULTICAST or not _number(mac):
        raise BadMac(mac=ascii(text)[1:-1][:40])
    return mac


def free_mac(pool: MacPool, is_used: Callable[[str], bool], *, start: int = 0) -> str:
    """The first free one, looking from the address with that number on, through all ranges in turn. Raises
    NoFreeMac."""
    size = sum(_size(each) for each in pool.ranges)
    for offset in range(min(size, _MOST_TRIES)):
        mac = _at(pool.ranges, (start + offset) % size)
        if not _number(mac) & _MULTICAST and not is_used(mac):
            return mac
    raise NoFreeMac(pool=pool.name)


def pool_size(pool: MacPool) -> int:
    return sum(_size(each) for each in pool.ranges)


def _at(ranges: Sequence[MacRange], index: int) -> str:
    for each in ranges:
        if index < _size(each):
            return _text(_number(each.first) + index)
        index -= _size(each)
    raise IndexError(index)


def _size(each: MacRange) -> int:
    return max(0, _number(each.last) - _number(each.first) + 1)


def _number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


def _text(number: int) -> str:
    digits = f"{number:012x}"
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
