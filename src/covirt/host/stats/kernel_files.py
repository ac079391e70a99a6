# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Small files of the kernel, read with care: any of them may be missing on some machine."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFiles:
    """Below "/" on a host, below another directory in tests."""

    root: Path = Path("/")

    def text(self, path: str, default: str = "") -> str:
        """The content without its last line end; ``default`` when it cannot be read."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return default

    def number(self, path: str, default: int = 0) -> int:
        try:
            return int(self.text(path))
        except ValueError:
            return default

    def names(self, path: str) -> list[str]:
        """Of a directory, sorted; none when it cannot be read."""
        try:
            return sorted(entry.name for entry in (self.root / path).iterdir())
        except OSError:
            return []


def number_list(text: str) -> list[int]:
    """The kernel's lists of numbers, as in "0-3,8"."""
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.strip().isdigit():
            numbers.extend(range(int(first), int(last or first) + 1))
    return numbers
