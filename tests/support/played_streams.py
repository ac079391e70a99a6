# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host's side of streams, played by a test: each ticket that is shown becomes a socket of the test's."""

import queue
import socket
import threading
from typing import Final

from covirt.rpc.streams import STREAM_GREETING

SECONDS: Final = 60.0
_RECEIVE_BUFFER_BYTES: Final = 64 << 10


class PlayedStream:
    """What the engine is connected to, after its ticket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        self.socket = connection
        self.heard = b""

    def hear(self, expected: bytes) -> None:
        """Until this was heard; ConnectionError when the stream ends before."""
        while expected not in self.heard:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError(f"the stream has ended after {self.heard!r}")
            self.heard += data

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def stuff(self) -> int:
        """Say as much as is taken; how many bytes that were."""
        self.socket.settimeout(0.5)
        said = 0
        try:
            while said < 1 << 28:
                said += self.socket.send(b"x" * 65536)
        except TimeoutError:
            return said
        finally:
            self.socket.settimeout(SECONDS)
        return said

    def wait_end(self) -> None:
        """Until the engine has closed it."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            return

    def close(self) -> None:
        self.socket.close()


class PlayedStreams:
    """Listens on the loopback. ``answer`` is said to each ticket."""

    def __init__(self) -> None:
        self.answer = b"OK\n"
        self.tickets: list[str] = []
        self._came: queue.Queue[PlayedStream] = queue.Queue()
        self._all: list[PlayedStream] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="played-streams")
        self._thread.start()

    def next(self) -> PlayedStream:
        """The next one that comes."""
        return self._came.get(timeout=SECONDS)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self._listener.close()
        for each in self._all:
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            stream = PlayedStream(connection)
            self._all.append(stream)
            try:
                stream.hear(b"\n")
            except ConnectionError:
                continue
            line, _, stream.heard = stream.heard.partition(b"\n")
            self.tickets.append(line.removeprefix(STREAM_GREETING).decode(errors="replace"))
            stream.say(self.answer)
            self._came.put(stream)
