# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container's log as conmon writes it, in Kubernetes' format: "TIME STREAM P|F TEXT" (P: to be continued)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BLOCK: Final = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """``partial``: conmon cut an overlong line or a flush here; the next line of the stream goes on with it."""

    time: str  # RFC 3339 with nanoseconds, as written
    stream: str  # "stdout" or "stderr"
    partial: bool
    text: str


def split_line(line: bytes) -> tuple[bytes, bytes, bool, bytes] | None:
    """Time, stream, whether it is partial, and text of a line without its newline; None for a damaged one."""
    fields = line.split(b" ", 3)
    if len(fields) == 4 and fields[1] in (b"stdout", b"stderr") and fields[2] in (b"P", b"F"):
        return fields[0], fields[1], fields[2] == b"P", fields[3]
    return None


def parse_log(data: bytes) -> Iterator[LogLine]:
    """Every well-formed line; a last one still being written, and damage, are left out."""
    *lines, _ = data.split(b"\n")
    for line in lines:
        fields = split_line(line)
        if fields is not None:
            time, stream, partial, text = fields
            yield LogLine(
                time=time.decode(errors="replace"),
                stream=stream.decode(),
                partial=partial,
                text=text.decode(errors="replace"),
            )


def read_log_tail(path: Path, lines: int) -> tuple[LogLine, ...]:
    """The last ``lines`` lines of a log, oldest first; an absent log has none. Reads only the end of the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return ()
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        data = b""
        while end > 0 and data.count(b"\n") <= lines:
            start = max(0, end - _BLOCK)
            data = os.pread(descriptor, end - start, start) + data
            end = start
    finally:
        os.close(descriptor)
    if end > 0:
        data = data.partition(b"\n")[2]  # begins inside a line
    return tuple(parse_log(data))[-lines:] if lines > 0 else ()
