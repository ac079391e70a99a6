# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a container's log from some line on, and further while it is written and put aside (LOG.1, LOG.2, …).

Nobody tells of new lines: inotify instances are few (128 on many hosts, and on cgroup v2 each conmon has one), so who
follows a log asks again now and then.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from covirt.common.errors import InvalidRequest
from covirt.oci.container_log import split_line

_BLOCK: Final = 65536
_HEAD_BYTES: Final = 256  # time, stream and mark of a line take some 50
_LONGEST_LINE_BYTES: Final = 1 << 20  # what is held of a line whose end has not come
_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")


class BadLogTime(InvalidRequest):
    template = "{text!r} is no time; give 2026-01-31T12:00:00Z, seconds since 1970, or how long ago: 90s, 10m, 1h30m"


def parse_since(text: str, *, now: datetime | None = None) -> datetime:
    """A moment as Podman and Docker take it for --since; without an offset it is this host's. Raises BadLogTime."""
    now = now or datetime.now(UTC)
    try:
        if _DURATION.fullmatch(text):
            parts = re.findall(r"([\d.]+)(ms|[smhd])", text)
            return now - timedelta(seconds=sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return datetime.fromtimestamp(float(text), UTC)
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadLogTime(text=text) from error


class LogReader:
    """The lines of a log as bytes, as the container wrote them; close() it."""

    def __init__(
        self, path: Path, *, since: datetime | None = None, tail: int | None = None, timestamps: bool = False
    ) -> None:
        self._path = path
        self._since = since
        self._timestamps = timestamps
        self._descriptor = -1
        self._rest = b""  # the beginning of a line of the file
        self._held = {b"stdout": b"", b"stderr": b""}  # beginnings of lines of the container
        self._begin(tail)

    def read(self) -> bytes:
        """Some more lines, or nothing when there are none now."""
        while True:
            block = os.read(self._descriptor, _BLOCK) if self._descriptor >= 0 else b""
            if block:
                text = b"".join(self._lines(block))
                if text:
                    return text
            elif not self._next_file():
                return b""

    def held(self) -> bytes:
        """What is held of lines whose end has not come; they go on after it."""
        text = b"".join(self._held.values())
        self._held = dict.fromkeys(self._held, b"")
        return text

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _lines(self, block: bytes) -> Iterator[bytes]:
        *lines, self._rest = (self._rest + block).split(b"\n")
        if len(self._rest) > _LONGEST_LINE_BYTES:  # conmon writes no such line
            self._rest = b""
        for line in lines:
            fields = split_line(line)
            if fields is None or self._too_old(fields[0]):
                continue
            time, stream, partial, text = fields
            if self._timestamps and not self._held[stream]:
                text = time + b" " + text
            self._held[stream] += text if partial else text + b"\n"
            if not partial or len(self._held[stream]) > _LONGEST_LINE_BYTES:
                yield self._held[stream]
                self._held[stream] = b""

    def _too_old(self, time: bytes) -> bool:
        if self._since is None:
            return False
        try:
            if datetime.fromisoformat(time.decode()) < self._since:
                return True
        except (ValueError, TypeError):
            return False
        self._since = None  # lines are in order: all that follow are new enough
        return False

    def _begin(self, tail: int | None) -> None:
        names = self._names()
        if tail is None:
            self._descriptor = _open(names[0]) if names else -1
            return
        for name in reversed(names):
            descriptor = _open(name)
            if descriptor < 0:
                continue
            self.close()
            self._descriptor = descriptor
            tail -= _seek_to_last(descriptor, tail)
            if tail <= 0:
                return

    def _next_file(self) -> bool:
        """Go on with the file that follows the present one; False while there is none."""
        names = self._names()
        files = [(name, _identity(name)) for name in names]
        if self._descriptor < 0:
            following = names[:1]
        else:
            present = _identity(self._descriptor)
            places = [place for place, (_, identity) in enumerate(files) if identity == present]
            # One that is not there any more was the oldest: all that are there follow it.
            following = names[places[0] + 1 :] if places else names
        descriptor = _open(following[0]) if following else -1
        if descriptor < 0:
            return False
        # The next one exists, so nothing is written to this one any more, but something may have been just before.
        if self._descriptor >= 0 and os.fstat(self._descriptor).st_size > os.lseek(self._descriptor, 0, os.SEEK_CUR):
            os.close(descriptor)
            return True
        self.close()
        self._descriptor, self._rest = descriptor, b""
        return True

    def _names(self) -> list[Path]:
        """The files that there are, oldest first."""
        aside: list[Path] = []
        while (path := self._path.with_name(f"{self._path.name}.{len(aside) + 1}")).exists():
            aside.append(path)
        return [*reversed(aside), *([self._path] if self._path.exists() else [])]


def _open(path: Path) -> int:
    """-1 for what is no log of ours: absent, a link, a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return -1
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return -1


def _identity(file: Path | int) -> tuple[int, int] | None:
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(file)
        return status.st_dev, status.st_ino
    return None


def _seek_to_last(descriptor: int, lines: int) -> int:
    """Go to where the last ``lines`` whole lines of the container begin; how many there are from there on."""
    begin = os.lseek(descriptor, 0, os.SEEK_END)
    count, following = 0, -1  # where the line of the file begins that comes after the one looked at
    for position, head in _backwards(descriptor, begin) if lines > 0 else ():
        fields = split_line(head)
        if fields is None:
            continue
        if following >= 0 and not fields[2]:
            count, begin = count + 1, following
            if count == lines:
                break
        following = position
    else:
        if following >= 0:
            count, begin = count + 1, following
    os.lseek(descriptor, begin, os.SEEK_SET)
    return count


def _backwards(descriptor: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Where each whole line of a file begins, and its first bytes; the last line first.

    A block at a time, however long the file and its lines are: a container can write without ever ending a line.
    """
    head, whole = b"", False
    while end > 0:
        start = max(0, end - _BLOCK)
        data = os.pread(descriptor, end - start, start)
        stop = len(data)
        while (newline := data.rfind(b"\n", 0, stop)) >= 0:
            if whole:
                yield start + newline + 1, _head(data, newline + 1, stop, head)
            head, whole, stop = b"", True, newline
        head, end = _head(data, 0, stop, head), start
    if whole:
        yield 0, head


def _head(data: bytes, start: int, stop: int, rest: bytes) -> bytes:
    return (data[start : min(stop, start + _HEAD_BYTES)] + rest)[:_HEAD_BYTES]
