# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A client that says exactly what a test wants it to say, and a service to call."""

import json
import socket
import ssl
import threading
from typing import Any, Final

from covirt.rpc.jsonrpc import Answer, Request
from covirt.rpc.stomp import Decoder, Frame

REQUESTS: Final = "jms.topic.vdsm_requests"
EVENTS: Final = "jms.queue.events"


class RawStomp:
    """Frames and bytes over one connection; every wait is bounded."""

    def __init__(
        self, port: int, context: ssl.SSLContext | None, *, connect: bool = True, timeout_seconds: float = 20
    ) -> None:
        connection: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_seconds)
        try:
            if context is not None:
                connection = context.wrap_socket(connection, server_hostname="127.0.0.1")
        except BaseException:
            connection.close()
            raise
        self.socket = connection
        self._decoder = Decoder()
        self._frames: list[Frame] = []
        try:
            if connect:
                self._connect()
        except BaseException:
            connection.close()
            raise

    def _connect(self) -> None:
        self.send("CONNECT", accept_version="1.2", heart_beat="0,0")
        assert self.receive().command == "CONNECTED"
        self.subscribe("mine")

    def __enter__(self) -> "RawStomp":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, command: str, body: bytes = b"", **headers: str) -> None:
        words = {name.replace("_", "-"): value for name, value in headers.items()}
        self.socket.sendall(Frame(command=command, headers=words, body=body).encode())

    def subscribe(self, destination: str) -> None:
        """It is subscribed when this returns."""
        self.send("SUBSCRIBE", destination=destination, id=destination, receipt=destination)
        assert self.receive().command == "RECEIPT"

    def ask(self, body: bytes, *, flow_id: str = "") -> None:
        self.send("SEND", body, destination=REQUESTS, reply_to="mine", ovirtCorrelationId=flow_id)

    def call(self, method: str, params: Any = None) -> Any:
        """The answer to one call, with its "result" or "error"."""
        self.ask(Request(method=method, params=params, id="1").encode())
        return json.loads(self.receive().body)

    def receive(self) -> Frame:
        """The next frame; ConnectionError when there is no more."""
        while not self._frames:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the server has closed the connection")
            self._frames += [frame for frame in self._decoder.feed(data) if frame is not None]
        return self._frames.pop(0)

    def ends(self) -> bool:
        """Whether the server ends the connection, after whatever it says."""
        try:
            while True:
                self.receive()
        except (ConnectionError, ssl.SSLError):
            return True


class PlayService:
    """``echo`` answers its parameters, ``wait`` waits until ``go``, ``quick`` needs no wait, ``inline`` no thread."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.calls: list[tuple[str, str, str]] = []  # method, client, flow id
        self.waiting = 0
        self._lock = threading.Lock()

    def is_inline(self, method: str) -> bool:
        return method == "inline"

    def is_quick(self, method: str) -> bool:
        return method == "quick"

    def answer(self, request: Request, *, client: str, flow_id: str) -> Answer:
        self.calls.append((request.method, client, flow_id))
        if request.method == "wait":
            with self._lock:
                self.waiting += 1
            assert self.go.wait(60), "nobody lets it go on"
        if request.method == "fail":
            raise ZeroDivisionError("a bug")
        if request.method == "unspeakable":
            return Answer(id=request.id, result=float("nan"))
        if request.method == "refuse":
            return Answer(id=request.id, code=1, message="Virtual machine does not exist")
        if request.method == "large":
            return Answer(id=request.id, result="x" * (4 << 20))
        return Answer(id=request.id, result=request.params)
