# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""STOMP 1.2 frames, sans-IO: https://stomp.github.io/stomp-specification-1.2.html.

A frame is a command line, header lines, an empty line, a body and a zero byte; a line feed between frames is a
heartbeat. Everything a peer sends is limited before memory is spent on it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from covirt.rpc.errors import BadFrame, FrameTooLarge

HEARTBEAT: Final = b"\n"

# The commands a client may send; the longest have eleven bytes, with which Vdsm tells STOMP from other protocols.
CLIENT_COMMANDS: Final = (
    "CONNECT", "STOMP", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "DISCONNECT",
)  # fmt: skip
SERVER_COMMANDS: Final = ("CONNECTED", "MESSAGE", "RECEIPT", "ERROR")

_ESCAPES: Final = {"\\c": ":", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}
_ESCAPED: Final = str.maketrans({":": "\\c", "\n": "\\n", "\r": "\\r", "\\": "\\\\"})
# Frames of the handshake carry their headers as they are, for the sake of STOMP 1.0.
_UNESCAPED_COMMANDS: Final = ("CONNECT", "CONNECTED")
_NUL: Final = 0
_LINE_ENDS: Final = re.compile(rb"(?:\r?\n)+")
_LONGEST_END: Final = 3  # of a head


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    command: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def encode(self) -> bytes:
        """Its bytes. ``content-length`` is added to a frame with a body."""
        plain = self.command in _UNESCAPED_COMMANDS
        lines = [self.command]
        for name, value in self.headers.items():
            lines.append(f"{name}:{value}" if plain else f"{_escape(name)}:{_escape(value)}")
        if self.body and "content-length" not in self.headers:
            lines.append(f"content-length:{len(self.body)}")
        return b"".join(("\n".join(lines).encode(), b"\n\n", self.body, b"\0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one frame may have."""

    header_bytes: int = 16 << 10  # command and headers together
    headers: int = 64
    body_bytes: int = 16 << 20  # a domain's XML is some ten KiB, the largest answers some MiB


class Decoder:
    """Bytes in, frames out; None for heartbeats. After an error it must not be fed again.

    ``limits`` may be changed between frames, once a peer is trusted more.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._buffer = bytearray()
        self._head: Frame | None = None
        self._length: int | None = None
        self._scanned = 0

    @property
    def buffered_bytes(self) -> int:
        """How much of a frame has come."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame | None]:
        """What is whole now. Raises BadFrame, FrameTooLarge."""
        self._buffer += data
        while self._buffer:
            if self._head is None:
                if self._skip_line_ends():
                    yield None
                    continue
                if not self._take_head():
                    return
            frame = self._take_body()
            if frame is None:
                return
            yield frame

    def _skip_line_ends(self) -> bool:
        """Line ends between frames: heartbeats. However many there are, they are one."""
        found = _LINE_ENDS.match(self._buffer)
        if found is None:
            return False
        del self._buffer[: found.end()]
        return True

    def _take_head(self) -> bool:
        end, length = self._head_end()
        if (end if end >= 0 else len(self._buffer)) > self.limits.header_bytes:
            raise FrameTooLarge(reason=f"its headers have more than {self.limits.header_bytes} bytes")
        if end < 0:
            return False
        self._head = _parse_head(bytes(self._buffer[:end]), self.limits)
        self._length = self._content_length(self._head)
        del self._buffer[: end + length]
        self._scanned = 0
        return True

    def _head_end(self) -> tuple[int, int]:
        """Where the empty line begins, and how long it is with the line end before it. Scans each byte once."""
        start = max(self._scanned - 3, 0)
        # No further than a head may reach: behind it may lie a thousand frames that were sent together.
        last = self.limits.header_bytes + _LONGEST_END
        end, length = self._buffer.find(b"\n\n", start, last), 2
        other = self._buffer.find(b"\n\r\n", start, last if end < 0 else end + 1)
        if other >= 0:
            end, length = other, 3
        self._scanned = len(self._buffer)
        return end, length

    def _content_length(self, head: Frame) -> int | None:
        text = head.headers.get("content-length")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise BadFrame(reason=f"content-length is {text[:20]!r}")
        if int(text) > self.limits.body_bytes:
            raise FrameTooLarge(reason=f"its body has more than {self.limits.body_bytes} bytes")
        return int(text)

    def _take_body(self) -> Frame | None:
        assert self._head is not None  # noqa: S101 - the caller has seen to it
        if self._length is None:
            end = self._buffer.find(_NUL, self._scanned)
            self._scanned = len(self._buffer)
            if (end if end >= 0 else len(self._buffer)) > self.limits.body_bytes:
                raise FrameTooLarge(reason=f"its body has more than {self.limits.body_bytes} bytes")
            if end < 0:
                return None
        else:
            end = self._length
            if len(self._buffer) <= end:
                return None
            if self._buffer[end] != _NUL:
                raise BadFrame(reason="no zero byte follows its body")
        frame = Frame(command=self._head.command, headers=self._head.headers, body=bytes(self._buffer[:end]))
        del self._buffer[: end + 1]
        self._head, self._length, self._scanned = None, None, 0
        return frame


def _parse_head(data: bytes, limits: Limits) -> Frame:
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise BadFrame(reason="its headers are not UTF-8") from error
    lines = [line.removesuffix("\r") for line in lines]
    command = lines[0]
    if command not in CLIENT_COMMANDS and command not in SERVER_COMMANDS:
        raise BadFrame(reason=f"there is no command {command[:20]!r}")
    if len(lines) - 1 > limits.headers:
        raise FrameTooLarge(reason=f"it has more than {limits.headers} headers")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or "\0" in line:
            raise BadFrame(reason=f"{line[:40]!r} is no header")
        if command not in _UNESCAPED_COMMANDS:
            name, value = _unescape(name), _unescape(value)
        headers.setdefault(name, value)  # of a repeated header the first counts
    return Frame(command=command, headers=headers)


@lru_cache(maxsize=128)  # an answer's headers are nearly always those of the one before
def _escape(text: str) -> str:
    return text.translate(_ESCAPED)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    parts: list[str] = []
    index = 0
    while index < len(text):
        if text[index] != "\\":
            parts.append(text[index])
            index += 1
            continue
        mark = text[index : index + 2]
        if mark not in _ESCAPES:
            raise BadFrame(reason=f"{mark!r} escapes nothing")
        parts.append(_ESCAPES[mark])
        index += 2
    return "".join(parts)
