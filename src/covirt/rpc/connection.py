# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One accepted connection: which protocol it speaks, its STOMP frames, its heartbeats, and its limits.

All of it runs in the server's event loop. A peer that is slow, silent or wrong costs its own connection only.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

from covirt.rpc.broker import Call, Client
from covirt.rpc.errors import BadFrame
from covirt.rpc.stomp import CLIENT_COMMANDS, HEARTBEAT, Decoder, Frame

if TYPE_CHECKING:
    from covirt.rpc.server import RpcServer

log = logging.getLogger(__name__)

# Vdsm decides after eleven bytes, the length of the longest STOMP command; so does every client of it.
_DETECTION_BYTES: Final = 11
_DETECTION_SECONDS: Final = 10.0
_UNSENT_BYTES: Final = 32 << 20  # to a client that does not read; the largest answers have some MiB
_CALLS: Final = 64  # unanswered ones of a client, before it is read from no more
_GRACE: Final = 2.0  # a heartbeat may come this much later than agreed

# Makes the protocol of a connection that has begun with a prefix; the argument tells who it is.
ProtocolFactory = Callable[[str], asyncio.Protocol]
_COMMAND_STARTS: Final = tuple(f"{command}\n".encode() for command in CLIENT_COMMANDS) + tuple(
    f"{command}\r\n".encode() for command in CLIENT_COMMANDS
)


class Connection(asyncio.Protocol):
    """Of asyncio: a connection until its protocol is known, and a STOMP connection after that."""

    def __init__(self, server: "RpcServer", protocols: Mapping[bytes, ProtocolFactory]) -> None:
        self._server = server
        self._protocols = protocols
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._first = b""
        self._decoder: Decoder | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._heard = self._said = self._loop.time()
        self._unanswered = 0
        self.client = Client(name="?")

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.client.name = peer_name(self._transport)
        if not self._server.admit(self):
            log.warning("Too many connections, one is refused client=%s", self.client.name)
            self._transport.abort()
            return
        self._timers["detection"] = self._loop.call_later(_DETECTION_SECONDS, self._too_late)
        log.debug("Client came client=%s", self.client.name)

    def connection_lost(self, error: Exception | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._transport = None
        self._server.forget(self)
        log.debug("Client left client=%s error=%s", self.client.name, error)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._decoder is None:
            self._first += data
            if len(self._first) < _DETECTION_BYTES:
                return
            data = self._detect()
        if self._decoder is None or not data:
            return
        try:
            for frame in self._decoder.feed(data):
                if frame is not None and not self.client.leaving:
                    self._server.received(self, frame)
        except BadFrame as error:
            log.info("Client is dropped client=%s reason=%s", self.client.name, error)
            self.send(Frame(command="ERROR", headers={"message": str(error)}))
            self.client.leaving = True
        if self.client.leaving and self._transport is not None:
            self._transport.close()

    def eof_received(self) -> bool:
        return False

    # What the server calls, in the loop.

    def send(self, frame: Frame) -> None:
        self._write(frame.encode())
        if frame.command == "CONNECTED":
            self._start_heartbeats()

    def call_begins(self, call: Call) -> None:
        self._unanswered += 1
        if self._unanswered == _CALLS and self._transport is not None:
            log.debug("Client has many calls under way client=%s", call.client.name)
            self._transport.pause_reading()

    def call_ends(self) -> None:
        if self._unanswered == _CALLS and self._transport is not None:
            self._transport.resume_reading()
        self._unanswered -= 1

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # Inside.

    def _detect(self) -> bytes:
        """Become what the first bytes speak; what came is returned for STOMP."""
        self._timers.pop("detection").cancel()
        first, self._first = self._first, b""
        if first.lstrip(b"\r\n").startswith(_COMMAND_STARTS):
            self._decoder = Decoder()
            return first
        for prefix, factory in self._protocols.items():
            if first.startswith(prefix) and self._transport is not None:
                protocol = factory(self.client.name)
                self._server.handed_over(self, self._transport)
                self._transport.set_protocol(protocol)
                protocol.connection_made(self._transport)
                protocol.data_received(first)
                return b""
        log.info("Client speaks nothing known and is dropped client=%s", self.client.name)
        self.abort()
        return b""

    def _too_late(self) -> None:
        log.info("Client said nothing and is dropped client=%s", self.client.name)
        self.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        self._said = self._loop.time()
        if self._transport.get_write_buffer_size() > _UNSENT_BYTES:
            log.warning("Client does not read and is dropped client=%s", self.client.name)
            self._transport.abort()

    def _start_heartbeats(self) -> None:
        if self.client.heartbeat_out_ms:
            self._beat()
        if self.client.heartbeat_in_ms:
            self._listen()

    def _beat(self) -> None:
        """Say something when nothing else was said; a little before it is missed."""
        period = self.client.heartbeat_out_ms / 1000
        if self._loop.time() - self._said >= period / 2:
            self._write(HEARTBEAT)
        self._timers["beat"] = self._loop.call_later(period / 2, self._beat)

    def _listen(self) -> None:
        period = self.client.heartbeat_in_ms / 1000 * _GRACE
        silence = self._loop.time() - self._heard
        if silence >= period and not self._unanswered:
            log.info("Client is silent and is dropped client=%s", self.client.name)
            self.abort()
            return
        self._timers["listen"] = self._loop.call_later(max(period - silence, 0.5), self._listen)


def peer_name(transport: asyncio.BaseTransport) -> str:
    """Its address, and the name its certificate gives it."""
    address = transport.get_extra_info("peername") or ("?", 0)
    where = f"[{address[0]}]:{address[1]}" if ":" in str(address[0]) else f"{address[0]}:{address[1]}"
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject):
        return where
    subject = (tls.getpeercert() or {}).get("subject", ())
    names = [
        value for part in subject for name, value in cast("tuple[tuple[str, str], ...]", part) if name == "commonName"
    ]
    return f"{where}/{names[0]}" if names else where
