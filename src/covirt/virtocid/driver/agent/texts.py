# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Texts that a container wrote: parsed strictly, and never more than what can be shown safely."""

import re
import shlex
from collections.abc import Iterator
from typing import Final

_WANTED: Final = ("ID", "NAME", "PRETTY_NAME", "VERSION", "VERSION_ID", "VARIANT", "VARIANT_ID")
_LONGEST: Final = 256  # characters of one value
_ASSIGNMENT: Final = re.compile(r"([A-Z_]+)=(.*)")


def shown(text: str) -> str | None:
    """The text as a client may print it on a terminal; None for what has control characters or is very long."""
    return text if text.isprintable() and len(text) <= _LONGEST else None


def decoded(text: str) -> str:
    """A text of the kernel's (file names are bytes) as one that can be sent; what is no UTF-8 is replaced."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def os_release(data: bytes) -> dict[str, str]:
    """The fields of os-release(5) that are asked for, by their names there. Lines that do not parse are skipped."""
    return {name: value for name, value in _assignments(data) if name in _WANTED}


def _assignments(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode(errors="replace").splitlines():
        match = _ASSIGNMENT.fullmatch(line.strip())
        if match is None or match[1] not in _WANTED or len(match[2]) > 2 * _LONGEST:
            continue
        try:
            words = shlex.split(match[2])
        except ValueError:  # a quote without its end
            continue
        if len(words) == 1 and shown(words[0]):
            yield match[1], words[0]
