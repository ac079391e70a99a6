# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One accepted connection: which protocol it speaks, its STOMP frames, its heartbeats, and its limits.

All of it runs in the server's event loop. A peer that is slow, silent or wrong costs its own connection only.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping
from typing import Final, Protocol, cast

from covirt.common.complaints import Complaints
from covirt.common.listening import usual_address
from covirt.rpc.broker import Client
from covirt.rpc.calls import CallQueue, Work
from covirt.rpc.errors import BadFrame
from covirt.rpc.settings import ServerSettings
from covirt.rpc.stomp import CLIENT_COMMANDS, HEARTBEAT, Decoder, Frame

log = logging.getLogger(__name__)

# Vdsm decides after eleven bytes, the length of the longest STOMP command; so does every client of it.
_DETECTION_BYTES: Final = 11
_PROBE_AFTER_SECONDS: Final = 60  # of silence; then TCP asks whether the peer is still there
_PROBE_EVERY_SECONDS: Final = 10
_PROBES: Final = 6

_COMMAND_STARTS: Final = tuple(f"{command}{end}".encode() for command in CLIENT_COMMANDS for end in ("\n", "\r\n"))


class OtherProtocol(Protocol):
    """Something else that is spoken on the port."""

    def protocol(self, client: str) -> asyncio.Protocol:
        """For one connection; ``client`` tells who it is."""
        ...

    async def close_all(self) -> None:
        """End all of its connections."""
        ...


class Owner(Protocol):
    """What a connection needs of the server."""

    settings: ServerSettings
    complaints: Complaints

    @property
    def protocols(self) -> Mapping[bytes, OtherProtocol]: ...

    def admit(self, connection: "Connection") -> bool: ...

    def forget(self, connection: "Connection") -> None: ...

    def received(self, connection: "Connection", frame: Frame) -> None: ...

    def begin(self, connection: "Connection", work: Work) -> bool: ...

    def account(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """Of asyncio: a connection until its protocol is known, and a STOMP connection after that."""

    def __init__(self, owner: Owner) -> None:
        self.client = Client(name="?")
        self._owner = owner
        self._settings = owner.settings
        self._loop = asyncio.get_running_loop()
        self.calls = CallQueue(
            settings=owner.settings, begin=lambda work: owner.begin(self, work), later=self._loop.call_later
        )
        self._transport: asyncio.Transport | None = None
        self._first = b""
        self._decoder: Decoder | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._heard = self._said = self._loop.time()
        self._deaf = False  # not read from

    @property
    def buffered_bytes(self) -> int:
        """Of a frame that has begun."""
        return self._decoder.buffered_bytes if self._decoder is not None else len(self._first)

    @property
    def unsent_bytes(self) -> int:
        """What the client has not read; of one that is ending, nothing."""
        if self._transport is None or self._transport.is_closing():
            return 0
        return self._transport.get_write_buffer_size()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.client.name = peer_name(self._transport)
        if not self._owner.admit(self):
            self._transport.abort()
            return
        _probe_when_silent(self._transport.get_extra_info("socket"))
        self._transport.set_write_buffer_limits(high=self._settings.output_high_bytes)
        self._in_time("connect", self._settings.detection_seconds, "it has not said what it speaks in time")
        log.debug("Client came client=%s", self.client.name)

    def connection_lost(self, exc: Exception | None) -> None:
        for name in list(self._timers):
            self._cancel(name)
        self._transport = None
        self.calls.clear()
        self._owner.forget(self)
        log.debug("Client left client=%s error=%s", self.client.name, exc)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._decoder is None:
            self._first += data
            if len(self._first) < _DETECTION_BYTES:
                return
            data = self._detect()
        if self._decoder is not None and data:
            self._decode(self._decoder, data)

    def pause_writing(self) -> None:
        self.calls.hold(held=True)

    def resume_writing(self) -> None:
        self.calls.hold(held=False)
        self._adjust_reading()

    # What the server calls, in the loop.

    def send(self, frame: Frame) -> None:
        self._write(frame.encode())

    def finished(self, work: Work) -> None:
        """A worker has the answer."""
        self.calls.ended(work)
        self._adjust_reading()

    def drop(self, reason: str) -> None:
        """End the connection at once, whatever is still unsent."""
        if self._transport is not None and not self._transport.is_closing():
            self._owner.complaints.warning("Client dropped client=%s reason=%r", self.client.name, reason)
            self._transport.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End it once everything is sent."""
        if self._transport is not None:
            self._transport.close()

    # Inside.

    def _detect(self) -> bytes:
        """Become what the first bytes speak; what came is returned for STOMP."""
        first, self._first = self._first, b""
        if first.lstrip(b"\r\n").startswith(_COMMAND_STARTS):
            self._decoder = Decoder(self._settings.unconnected)
            return first
        for prefix, other in self._owner.protocols.items():
            if first.startswith(prefix) and self._transport is not None:
                self._hand_over(other.protocol(self.client.name), self._transport, first)
                return b""
        self.drop("it speaks nothing known")
        return b""

    def _hand_over(self, protocol: asyncio.Protocol, transport: asyncio.Transport, first: bytes) -> None:
        self._cancel("connect")
        self._owner.forget(self)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(first)

    def _decode(self, decoder: Decoder, data: bytes) -> None:
        try:
            for frame in decoder.feed(data):
                if frame is not None and not self.client.leaving and self._transport is not None:
                    self._receive(decoder, frame)
        except BadFrame as error:
            if not self.client.leaving:
                self._owner.complaints.warning("Client dropped client=%s reason=%r", self.client.name, str(error))
                self.send(Frame(command="ERROR", headers={"message": str(error)}))
            self.client.leaving = True
        if self.client.leaving:
            self.close()
            return
        self._watch_frame()
        self._owner.account(self)
        self._adjust_reading()

    def _receive(self, decoder: Decoder, frame: Frame) -> None:
        was_connected = self.client.connected
        self._cancel("frame")
        self._owner.received(self, frame)
        if self.client.connected and not was_connected:
            self._cancel("connect")
            decoder.limits = self._settings.connected
            self._start_heartbeats()

    def _watch_frame(self) -> None:
        """What has begun must end; while we do not read it is not the client that takes so long."""
        if not self.buffered_bytes or self._deaf:
            self._cancel("frame")
        elif "frame" not in self._timers:
            self._in_time("frame", self._settings.frame_seconds, "it did not end a frame in time")

    def _adjust_reading(self) -> None:
        full = self.calls.full
        if self._transport is None or self._transport.is_closing() or full == self._deaf:
            return
        self._deaf = full
        if full:
            self._cancel("frame")
            self._transport.pause_reading()
        else:
            self._heard = self._loop.time()
            self._transport.resume_reading()
            self._watch_frame()

    def _write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        self._said = self._loop.time()
        unsent = self.unsent_bytes
        if unsent > self._settings.output_limit_bytes:
            self.drop(f"it left {unsent} bytes unread")
        elif unsent:
            self._owner.account(self)

    def _start_heartbeats(self) -> None:
        if self.client.heartbeat_out_ms:
            self._beat()
        if self.client.heartbeat_in_ms:
            self._listen()

    def _beat(self) -> None:
        """Say something when nothing else was said for half of what was agreed."""
        period = self.client.heartbeat_out_ms / 1000 / 2
        due = self._said + period - self._loop.time()
        if due <= 0:
            # A client that reads nothing gets no more: what it has not read tells it as much.
            if self._transport is not None and not self._transport.get_write_buffer_size():
                self._write(HEARTBEAT)
            due = period
        self._timers["beat"] = self._loop.call_later(due, self._beat)

    def _listen(self) -> None:
        period = self.client.heartbeat_in_ms / 1000 * self._settings.heartbeat_grace
        due = self._heard + period - self._loop.time()
        if due <= 0 and not self._deaf:
            self.drop("it does not send the heartbeats it has promised")
            return
        self._timers["listen"] = self._loop.call_later(due if due > 0 else period, self._listen)

    def _in_time(self, name: str, seconds: float, reason: str) -> None:
        self._timers[name] = self._loop.call_later(seconds, self.drop, reason)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _probe_when_silent(connection: socket.socket) -> None:
    """A peer that is gone without a word is found out, also without heartbeats."""
    for option, value in (
        (socket.TCP_KEEPIDLE, _PROBE_AFTER_SECONDS),
        (socket.TCP_KEEPINTVL, _PROBE_EVERY_SECONDS),
        (socket.TCP_KEEPCNT, _PROBES),
        (socket.TCP_USER_TIMEOUT, (_PROBE_AFTER_SECONDS + _PROBE_EVERY_SECONDS * _PROBES) * 1000),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def peer_name(transport: asyncio.BaseTransport) -> str:
    """Its address, and the name its certificate gives it."""
    found = transport.get_extra_info("peername") or ("?", 0)
    address, port = usual_address(str(found[0])), found[1]
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject):
        return where
    subject = (tls.getpeercert() or {}).get("subject", ())
    names = [
        value for part in subject for name, value in cast("tuple[tuple[str, str], ...]", part) if name == "commonName"
    ]
    return f"{where}/{names[0]}" if names else where
