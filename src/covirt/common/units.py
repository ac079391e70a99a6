# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes as people and XML write them."""

import re
from typing import Final

from covirt.common.errors import InvalidRequest

KIB: Final = 1024

# libvirt's scaled integers (docs: "formatdomain", memory unit): b/bytes, KB = 1000, k/KiB = 1024, and so on.
_SCALE: Final[dict[str, int]] = {
    "b": 1, "byte": 1, "bytes": 1,
    "kb": 10**3, "k": 2**10, "kib": 2**10,
    "mb": 10**6, "m": 2**20, "mib": 2**20,
    "gb": 10**9, "g": 2**30, "gib": 2**30,
    "tb": 10**12, "t": 2**40, "tib": 2**40,
    "pb": 10**15, "p": 2**50, "pib": 2**50,
    "eb": 10**18, "e": 2**60, "eib": 2**60,
}  # fmt: skip


class BadSize(InvalidRequest):
    template = "{text!r} is not a size; write a whole number with a unit such as KiB, MiB or GiB"


def size_bytes(number: str, unit: str = "b") -> int:
    """``("64", "MiB")`` -> 67108864. The unit is matched without regard to case, as libvirt does."""
    scale = _SCALE.get(unit.strip().lower())
    if scale is None or not re.fullmatch(r"\s*\+?[0-9]{1,20}\s*", number):
        raise BadSize(text=f"{number} {unit}".strip())
    return int(number) * scale


def parse_size(text: str) -> int:
    """``"64MiB"`` or ``"64 MiB"`` or ``"1000"`` -> bytes."""
    match = re.fullmatch(r"\s*([0-9]+)\s*([A-Za-z]*)\s*", text)
    if match is None:
        raise BadSize(text=text)
    return size_bytes(match[1], match[2] or "b")


def readable_size(value_bytes: int) -> str:
    """Bytes for people: ``67108864`` -> ``"64.0 MiB"``."""
    value = float(value_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < KIB:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= KIB
    return f"{value:.1f} TiB"
