# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A small synchronous client of libvirt's protocol, for covirt's own programs beside the daemon."""

import socket
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from covirt.common.errors import Error
from covirt.wire import procedures as proc
from covirt.wire.codec import codec_of
from covirt.wire.framing import (
    KEEPALIVE_PING,
    KEEPALIVE_PONG,
    KEEPALIVE_PROGRAM,
    MAX_STREAM_PAYLOAD_BYTES,
    Frame,
    FrameReader,
    FrameStatus,
    FrameType,
)
from covirt.wire.protocol import Procedure
from covirt.wire.structs import RemoteError
from covirt.wire.structs_connect import ConnectOpenArgs

_SEND_BYTES: Final = 1 << 18

A = TypeVar("A")
R = TypeVar("R")


class CallFailed(Error):
    """The server answered with an error."""

    def __init__(self, error: RemoteError) -> None:
        super().__init__(message=error.message or f"the daemon failed with code {error.code}")
        self.error = error


class WireClient:
    """One connection. ``frames()`` is for those who want to see everything that comes."""

    def __init__(self, path: Path, *, timeout_seconds: float = 20.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_seconds)
        self.socket.connect(str(path))
        self._reader = FrameReader()
        self._ready: deque[Frame] = deque()
        self._kept: deque[Frame] = deque()
        self._serial = 0

    def open(self, name: str = "oci:///system", *, flags: int = 0) -> Self:
        self.call(proc.AUTH_LIST, None)
        self.call(proc.CONNECT_OPEN, ConnectOpenArgs(name=name, flags=flags))
        return self

    def send(self, frame: Frame) -> None:
        self.socket.sendall(frame.encode())

    def start(self, procedure: Procedure[A, Any], args: A) -> int:
        """Send a call and return its serial."""
        self._serial += 1
        self.send(
            Frame(
                program=procedure.program,
                procedure=procedure.number,
                type=FrameType.CALL,
                serial=self._serial,
                payload=procedure.args_codec.encode(args),
            )
        )
        return self._serial

    def call(self, procedure: Procedure[A, R], args: A) -> R:
        """Call and wait; events that come meanwhile are kept for frame(). Raises CallFailed."""
        reply = self.reply(self.start(procedure, args))
        return result(procedure, reply)

    def reply(self, serial: int) -> Frame:
        """Wait for the reply to ``serial``; everything else is kept for frame()."""
        for index, frame in enumerate(self._kept):
            if frame.type == FrameType.REPLY and frame.serial == serial:
                del self._kept[index]
                return frame
        while True:
            frame = self._next()
            if frame.type == FrameType.REPLY and frame.serial == serial:
                return frame
            self._kept.append(frame)

    def frame(self) -> Frame:
        """The next frame of any kind. Raises EOFError when the server has closed the connection."""
        return self._kept.popleft() if self._kept else self._next()

    def _next(self) -> Frame:
        while not self._ready:
            data = self.socket.recv(262144)
            if not data:
                raise EOFError
            self._ready.extend(self._reader.feed(data))
        return self._ready.popleft()

    def frames_now(self) -> list[Frame]:
        """All frames that are here, and those of one read more. Raises EOFError as frame() does."""
        frames = [*self._kept, *self._ready]
        self._kept.clear()
        self._ready.clear()
        if not frames:
            data = self.socket.recv(262144)
            if not data:
                raise EOFError
            frames = list(self._reader.feed(data))
        return frames

    def ping(self) -> Frame:
        self.send(Frame(program=KEEPALIVE_PROGRAM, procedure=KEEPALIVE_PING, type=FrameType.MESSAGE))
        return self.frame()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ClientStream:
    """A stream on a connection of its own, without blocking: for a loop that polls ``fileno()``.

    Opens it with a call; raises CallFailed. ``ended`` is set by the packet that says that no more bytes will come.
    """

    def __init__(self, client: WireClient, procedure: Procedure[A, Any], args: A) -> None:
        self._serial = client.start(procedure, args)
        result(procedure, client.reply(self._serial))
        self._client = client
        self._procedure = procedure
        self._unsent = bytearray()
        self.ended = False
        client.socket.setblocking(False)

    def fileno(self) -> int:
        return self._client.socket.fileno()

    @property
    def unsent_bytes(self) -> int:
        """What waits for flush(); poll for writing while there is any."""
        return len(self._unsent)

    def write(self, data: bytes) -> None:
        """Queue bytes, and send what can be sent. Raises ConnectionError when the daemon is gone."""
        for start in range(0, len(data), MAX_STREAM_PAYLOAD_BYTES):
            self._unsent += self._packet(FrameStatus.CONTINUE, data[start : start + MAX_STREAM_PAYLOAD_BYTES])
        self.flush()

    def flush(self) -> None:
        """Send what can be sent. Raises ConnectionError when the daemon is gone."""
        try:
            while self._unsent:
                del self._unsent[: self._client.socket.send(self._unsent[:_SEND_BYTES])]
        except BlockingIOError:
            pass

    def read(self) -> bytes:
        """The bytes that have come, perhaps none. Raises CallFailed when the stream was broken off, EOFError and
        ConnectionError when the daemon is gone.
        """
        received = bytearray()
        try:
            frames = self._client.frames_now()
        except BlockingIOError:
            return b""
        for frame in frames:
            if frame.program == KEEPALIVE_PROGRAM and frame.procedure == KEEPALIVE_PING:
                pong = Frame(program=KEEPALIVE_PROGRAM, procedure=KEEPALIVE_PONG, type=FrameType.MESSAGE)
                self._unsent += pong.encode()
            elif frame.type == FrameType.STREAM and frame.serial == self._serial:
                self._take(frame, received)
        return bytes(received)

    def _take(self, frame: Frame, received: bytearray) -> None:
        if frame.status == FrameStatus.ERROR:
            raise CallFailed(codec_of(RemoteError).decode(frame.payload))
        received += frame.payload
        self.ended = self.ended or not frame.payload

    def _packet(self, status: FrameStatus, payload: bytes) -> bytes:
        return Frame(
            program=self._procedure.program,
            procedure=self._procedure.number,
            type=FrameType.STREAM,
            serial=self._serial,
            status=status,
            payload=payload,
        ).encode()


def result(procedure: Procedure[A, R], reply: Frame) -> R:
    """The result in a reply. Raises CallFailed."""
    if reply.status == FrameStatus.ERROR:
        raise CallFailed(codec_of(RemoteError).decode(reply.payload))
    return procedure.ret_codec.decode(reply.payload)
