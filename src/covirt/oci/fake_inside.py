# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A look into a container that is a directory of ours: for tests of everything above, without root and namespaces."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from covirt.oci.inside import InsideFailed, InsideTarget, InsideTimeout, Names, Space


class FakeInside:
    """Files below ``root``. ``hangs`` makes every question time out, ``stays`` keeps it from ending when closed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hangs = False
        self.stays = False
        self.gone = False
        self.hostname = "inner"
        self.opened: list[InsideTarget] = []
        self.ended = 0
        self._files: dict[int, int] = {}

    def start(self, target: InsideTarget) -> "FakeInside":
        """In the place of open_inside()."""
        self.opened.append(target)
        self.gone = False
        return self

    @property
    def in_use(self) -> bool:
        return len(self.opened) > self.ended

    def names(self, *, seconds: float) -> Names:
        self._answer(seconds)
        return Names(hostname=self.hostname, release="6.1", version="#1 SMP", machine="x86_64")

    def text(self, path: str, *, limit_bytes: int, seconds: float) -> bytes | None:
        self._answer(seconds)
        place = self._place(path)
        return place.read_bytes()[:limit_bytes] if place.is_file() else None

    def timezone(self, zone: str | None, *, seconds: float) -> tuple[str, int]:
        self._answer(seconds)
        return (zone or "UTC"), 0

    def space(self, paths: Sequence[str], *, seconds: float) -> list[Space | None]:
        self._answer(seconds)
        return [Space(total_bytes=1000, used_bytes=1) if self._place(path).is_dir() else None for path in paths]

    def open(self, handle: int, path: str, flags: int, *, seconds: float) -> None:
        self._answer(seconds)
        try:
            self._files[handle] = os.open(self._place(path), flags | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise InsideFailed(what=path, reason=error.strerror, number=error.errno) from error

    def close_file(self, handle: int, *, seconds: float) -> None:
        self._answer(seconds)
        os.close(self._files.pop(handle))

    def read(self, handle: int, count: int, *, seconds: float) -> bytes:
        self._answer(seconds)
        return os.read(self._files[handle], count)

    def write(self, handle: int, data: bytes, *, seconds: float) -> int:
        self._answer(seconds)
        return os.write(self._files[handle], data)

    def seek(self, handle: int, offset: int, whence: int, *, seconds: float) -> int:
        self._answer(seconds)
        return os.lseek(self._files[handle], offset, whence)

    def kill(self) -> None:
        """It has no process."""

    def close(self) -> None:
        self.ended += 1
        self.gone = not self.stays
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def _place(self, path: str) -> Path:
        place = (self.root / path.lstrip("/")).resolve()
        if not place.is_relative_to(self.root.resolve()):
            raise InsideFailed(what=path, reason="it leads out", number=errno.EXDEV)
        return place

    def _answer(self, seconds: float) -> None:
        if self.hangs:
            raise InsideTimeout(container="fake", seconds=seconds)
