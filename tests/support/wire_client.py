# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A small synchronous client of libvirt's protocol, for what stock clients will not do, and to ask stock servers."""

import socket
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from covirt.wire import procedures as proc
from covirt.wire.codec import codec_of
from covirt.wire.framing import KEEPALIVE_PROGRAM, Frame, FrameReader, FrameStatus, FrameType
from covirt.wire.protocol import Procedure
from covirt.wire.structs import RemoteError
from covirt.wire.structs_connect import ConnectOpenArgs

A = TypeVar("A")
R = TypeVar("R")


class CallFailed(Exception):
    """The server answered with an error."""

    def __init__(self, error: RemoteError) -> None:
        super().__init__(error.code, error.message)
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

    def ping(self) -> Frame:
        self.send(Frame(program=KEEPALIVE_PROGRAM, procedure=1, type=FrameType.MESSAGE))
        return self.frame()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def result(procedure: Procedure[A, R], reply: Frame) -> R:
    """The result in a reply. Raises CallFailed."""
    if reply.status == FrameStatus.ERROR:
        raise CallFailed(codec_of(RemoteError).decode(reply.payload))
    return procedure.ret_codec.decode(reply.payload)
