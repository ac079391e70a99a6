# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is spoken on a container's two channels (virDomainOpenChannel), without any I/O.

``org.covirt.exec.0`` carries frames both ways: a u8 kind, a u32 length (big endian), and so many bytes. The client
begins with one REQUEST, then sends STDIN (an empty one is the end of input) and RESIZE; it gets STDOUT and STDERR,
and at last one EXIT. ``org.covirt.log.0``: the client sends one line, a JSON object; the rest is the log's lines.

docs/exec-and-logs.md describes both for people.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NoReturn, TypeVar

from covirt.common.errors import InvalidRequest

T = TypeVar("T")

EXEC_CHANNEL: Final = "org.covirt.exec.0"
LOG_CHANNEL: Final = "org.covirt.log.0"

MAX_CHANNEL_FRAME_BYTES: Final = 1 << 20
MAX_LOG_REQUEST_BYTES: Final = 1 << 16
_MAX_SIZE: Final = 65535  # rows and columns are 16 bits wide in the kernel
_HEADER: Final = struct.Struct(">BI")


class BadChannelFrame(InvalidRequest):
    template = "this is not what the channel speaks: {reason}"


class BadChannelRequest(InvalidRequest):
    template = "the request on the channel is wrong: {reason}"


class FrameKind(IntEnum):
    REQUEST = 0  # JSON, see ExecChannelRequest
    STDIN = 1
    STDOUT = 2
    STDERR = 3
    RESIZE = 4  # JSON: {"rows": 24, "columns": 80}
    EXIT = 5  # JSON, see ExecChannelExit


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFrame:
    kind: FrameKind
    data: bytes = b""

    def encode(self) -> bytes:
        """Raises BadChannelFrame when it is too long."""
        if len(self.data) > MAX_CHANNEL_FRAME_BYTES:
            raise BadChannelFrame(reason=f"a frame of {len(self.data)} bytes is over {MAX_CHANNEL_FRAME_BYTES}")
        return _HEADER.pack(self.kind, len(self.data)) + self.data


def encode_data(kind: FrameKind, data: bytes) -> bytes:
    """As many frames as it takes."""
    starts = range(0, len(data), MAX_CHANNEL_FRAME_BYTES)
    return b"".join(ChannelFrame(kind=kind, data=data[at : at + MAX_CHANNEL_FRAME_BYTES]).encode() for at in starts)


class ChannelDecoder:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[ChannelFrame]:
        """Take ``data`` and yield the frames that are complete now.

        Raises BadChannelFrame as soon as a header is impossible, before its bytes are buffered.
        """
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            number, length = _HEADER.unpack_from(self._buffer)
            if length > MAX_CHANNEL_FRAME_BYTES:
                raise BadChannelFrame(reason=f"it announces a frame of {length} bytes")
            try:
                kind = FrameKind(number)
            except ValueError:
                raise BadChannelFrame(reason=f"there is no frame of kind {number}") from None
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            frame = ChannelFrame(kind=kind, data=bytes(self._buffer[_HEADER.size : end]))
            del self._buffer[:end]
            yield frame

    @property
    def at_boundary(self) -> bool:
        """Whether the last frame was whole."""
        return not self._buffer


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSize:
    """A terminal's size."""

    rows: int = 24
    columns: int = 80

    @classmethod
    def parse(cls, data: bytes) -> "ChannelSize":
        """Raises BadChannelRequest."""
        fields = _Fields.parse(data)
        size = cls(rows=fields.number("rows", 1, _MAX_SIZE), columns=fields.number("columns", 1, _MAX_SIZE))
        fields.refuse_others()
        return size

    def encode(self) -> bytes:
        return json.dumps({"rows": self.rows, "columns": self.columns}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecChannelRequest:
    """What to run in the container. What is absent is as for the container's own process.

    ``user``: ``NAME|UID[:GROUP|GID]``, looked up in the container. With ``terminal`` there is no stderr.
    """

    command: tuple[str, ...]
    terminal: bool = False
    user: str | None = None
    working_directory: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    size: ChannelSize | None = None  # "rows" and "columns"

    @classmethod
    def parse(cls, data: bytes) -> "ExecChannelRequest":
        """Raises BadChannelRequest, also for what is not known."""
        fields = _Fields.parse(data)
        rows = fields.optional("rows", lambda name: fields.number(name, 1, _MAX_SIZE))
        columns = fields.optional("columns", lambda name: fields.number(name, 1, _MAX_SIZE))
        if (rows is None) != (columns is None):
            fields.refuse("rows and columns go together")
        request = cls(
            command=fields.texts("command"),
            terminal=fields.flag("terminal"),
            user=fields.optional("user", fields.text),
            working_directory=fields.optional("working_directory", fields.text),
            environment=fields.optional("environment", fields.table) or {},
            size=None if rows is None or columns is None else ChannelSize(rows=rows, columns=columns),
        )
        fields.refuse_others()
        return request

    def encode(self) -> bytes:
        words: dict[str, object] = {"command": list(self.command)}
        if self.terminal:
            words["terminal"] = True
        if self.user is not None:
            words["user"] = self.user
        if self.working_directory is not None:
            words["working_directory"] = self.working_directory
        if self.environment:
            words["environment"] = dict(self.environment)
        if self.size is not None:
            words |= {"rows": self.size.rows, "columns": self.size.columns}
        return json.dumps(words).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecChannelExit:
    """How it ended: an exit code, or a signal, or an error, which may come with the exit code that a shell gives for
    it (126 not executable, 127 not found).
    """

    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None

    @classmethod
    def parse(cls, data: bytes) -> "ExecChannelExit":
        """Raises BadChannelRequest. What is not known is skipped: a newer server may say more."""
        fields = _Fields.parse(data)
        return cls(
            exit_code=fields.optional("exit_code", lambda name: fields.number(name, 0, 255)),
            signal=fields.optional("signal", lambda name: fields.number(name, 1, 127)),
            error=fields.optional("error", fields.text),
        )

    def shell_status(self, *, otherwise: int) -> int:
        """As shells tell it: 128 and the signal's number for one that a signal has ended."""
        if self.signal is not None and self.error is None:
            return 128 + self.signal
        return otherwise if self.exit_code is None else self.exit_code

    def encode(self) -> bytes:
        words = {"exit_code": self.exit_code, "signal": self.signal, "error": self.error}
        return json.dumps({name: value for name, value in words.items() if value is not None}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChannelRequest:
    """Which lines: the last ``tail`` (None: all) of those since a moment, and whether to wait for more.

    ``since``: an RFC 3339 time, seconds since 1970, or how long ago (``90s``, ``10m``, ``1h30m``). ``timestamps``
    puts each line's time in front of it. Waiting for more ends with the container's run.
    """

    since: str | None = None
    tail: int | None = None
    follow: bool = False
    timestamps: bool = False

    @classmethod
    def parse(cls, data: bytes) -> "LogChannelRequest":
        """Raises BadChannelRequest, also for what is not known."""
        fields = _Fields.parse(data)
        request = cls(
            since=fields.optional("since", fields.text),
            tail=fields.optional("tail", lambda name: fields.number(name, 0, 2**31 - 1)),
            follow=fields.flag("follow"),
            timestamps=fields.flag("timestamps"),
        )
        fields.refuse_others()
        return request

    def encode(self) -> bytes:
        """With the newline that ends it."""
        words = {"since": self.since, "tail": self.tail}
        flags = {"follow": self.follow, "timestamps": self.timestamps}
        known = {name: value for name, value in words.items() if value is not None}
        return json.dumps(known | {name: True for name, value in flags.items() if value}).encode() + b"\n"


class _Fields:
    """A JSON object whose fields are taken one by one."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    @classmethod
    def parse(cls, data: bytes) -> "_Fields":
        try:
            values = json.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise BadChannelRequest(reason=f"it is not JSON ({type(error).__name__})") from error
        if not isinstance(values, dict):
            raise BadChannelRequest(reason="it is no JSON object")
        return cls(values)

    def refuse(self, reason: str) -> NoReturn:
        raise BadChannelRequest(reason=reason)

    def refuse_others(self) -> None:
        """Everything known has been taken."""
        if self._values:
            self.refuse(f"there is no field {ascii(min(self._values))[:100]}")

    def optional(self, name: str, take: Callable[[str], T]) -> T | None:
        return take(name) if name in self._values else None

    def flag(self, name: str) -> bool:
        value = self._values.pop(name, False)
        if not isinstance(value, bool):
            self.refuse(f"{name} must be true or false")
        return value

    def number(self, name: str, least: int, most: int) -> int:
        value = self._values.pop(name, None)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.refuse(f"{name} must be a whole number from {least} to {most}")
        return value

    def text(self, name: str) -> str:
        return self._text(name, self._values.pop(name, None))

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._values.pop(name, None)
        if not isinstance(value, list) or not value:
            self.refuse(f"{name} must be a list of texts, and not empty")
        return tuple(self._text(name, each) for each in value)

    def table(self, name: str) -> dict[str, str]:
        value = self._values.pop(name, None)
        if not isinstance(value, dict):
            self.refuse(f"{name} must be an object whose values are texts")
        return {self._text(name, key): self._text(name, each) for key, each in value.items()}

    def _text(self, name: str, value: object) -> str:
        if not isinstance(value, str):
            self.refuse(f"{name} must be text")
        try:
            value.encode()
        except UnicodeEncodeError:
            self.refuse(f"{name} holds half a character")
        return value
