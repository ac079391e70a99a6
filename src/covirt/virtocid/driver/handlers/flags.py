# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Flags of calls: one that nobody here knows is refused, as libvirt does, for it may ask for less than was done."""

from covirt.virtocid.driver.errors import BadArgument


def refuse_unknown(flags: int, known: int, function: str) -> None:
    """Raises BadArgument, in libvirt's words."""
    unknown = flags & ~int(known)  # of an IntFlag, "~" is what its class knows besides, and not every other bit
    if unknown:
        raise BadArgument(what=f"unsupported flags (0x{unknown:x}) in function {function}")
