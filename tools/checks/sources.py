# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Rules for source files that no ready tool checks: length, and the two licence lines."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_MOST_LINES: Final = 600  # the target is 300; a file that nears this wants to be two
_LICENCE: Final = ("# SPDX-FileCopyrightText: the covirt authors", "# SPDX-License-Identifier: Apache-2.0")


def too_long(files: Iterable[Path]) -> Iterator[str]:
    """A line for each file that is too long."""
    for path in files:
        count = len(path.read_text().splitlines())
        if count > _MOST_LINES:
            yield f"{path}: {count} lines, at most {_MOST_LINES} are allowed: split it by subject"


def without_licence(files: Iterable[Path]) -> Iterator[str]:
    """A line for each file that does not begin with the licence lines, after its ``#!`` line if it has one."""
    for path in files:
        lines = path.read_text().splitlines()[:3]
        body = lines[1:] if lines and lines[0].startswith("#!") else lines
        if tuple(body[:2]) != _LICENCE:
            yield f"{path}:1: begin with the two lines {_LICENCE[0]!r} and {_LICENCE[1]!r}"
