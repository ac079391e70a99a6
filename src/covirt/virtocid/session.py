# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One client: its frames in, its answers, events and streams out. Lives in the server's event loop.

Calls run in worker threads, a few at a time; while a client does not read its answers no further call of it is
started. Whoever lets too much pile up, or does not speak the protocol, is dropped; nobody else notices.
"""

import asyncio
import logging
import select
from collections import deque
from typing import Final, Protocol

from covirt.common.complaints import Complaints
from covirt.virtocid.connection import SESSION_PROCEDURES, Connection
from covirt.virtocid.dispatch import ClientFacts, Context, Dispatcher, Outcome, encode_error, failure
from covirt.virtocid.events import Packets
from covirt.virtocid.keepalive import KeepAlive
from covirt.virtocid.settings import ServerSettings
from covirt.virtocid.streams import Stream
from covirt.wire import procedures as proc
from covirt.wire.constants import ErrorCode, ErrorDomain
from covirt.wire.errors import MalformedFrame
from covirt.wire.framing import (
    KEEPALIVE_PING,
    KEEPALIVE_PONG,
    KEEPALIVE_PROGRAM,
    PROTOCOL_VERSION,
    REMOTE_PROGRAM,
    Frame,
    FrameReader,
    FrameStatus,
    FrameType,
)
from covirt.wire.structs import RemoteError

log = logging.getLogger(__name__)

_PONG: Final = Frame(program=KEEPALIVE_PROGRAM, procedure=KEEPALIVE_PONG, type=FrameType.MESSAGE).encode()
_PING: Final = Frame(program=KEEPALIVE_PROGRAM, procedure=KEEPALIVE_PING, type=FrameType.MESSAGE).encode()


class SessionOwner(Protocol):
    """What a session needs of the server."""

    settings: ServerSettings
    dispatcher: Dispatcher
    complaints: Complaints

    def admit(self, session: "Session") -> Connection | None: ...

    def leave(self, session: "Session", facts: ClientFacts, counted_bytes: int) -> None: ...

    def run_call(self, session: "Session", frame: Frame) -> bool: ...

    def may_hold(self, session: "Session", more_bytes: int) -> bool: ...


class Session(asyncio.Protocol):
    """The protocol object of one connection."""

    def __init__(self, *, owner: SessionOwner, loop: asyncio.AbstractEventLoop, readonly: bool) -> None:
        self.readonly_socket = readonly
        self.output_paused = False
        self._owner = owner
        self._settings = owner.settings
        self._loop = loop
        self._reader = FrameReader(max_frame_bytes=self._settings.max_unopened_frame_bytes)
        self._transport: asyncio.Transport | None = None
        self._connection: Connection | None = None
        self._backlog: deque[Frame] = deque()
        self._backlog_bytes = 0
        self._in_flight = 0
        self._streams: dict[int, Stream] = {}
        self._reading_paused = False
        self._open_timer: asyncio.TimerHandle | None = None
        self._in_flight_bytes = 0
        self._counted_bytes = 0
        self._packet_timer: asyncio.TimerHandle | None = None
        self._keepalive = KeepAlive(
            loop=loop,
            interval_seconds=self._settings.keepalive_interval_seconds,
            count=self._settings.keepalive_count,
            ping=self._ping,
            dead=lambda: self.drop("it does not answer pings"),
        )

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None, "not connected"  # noqa: S101
        return self._transport

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        transport.set_write_buffer_limits(high=self._settings.output_high_bytes)
        self._connection = self._owner.admit(self)
        if self._connection is None:
            transport.abort()
            return
        self._open_timer = self._loop.call_later(
            self._settings.open_timeout_seconds, self._require_opened, self._connection
        )

    def data_received(self, data: bytes) -> None:
        self._keepalive.sign_of_life()
        try:
            for frame in self._reader.feed(data):
                if self._connection is None or self.transport.is_closing():
                    return
                self._end_packet()
                self._receive(frame)
        except MalformedFrame as error:
            self.drop(str(error))
        self._begin_packet()
        self.account()
        self.adjust_reading()

    def pause_writing(self) -> None:
        self.output_paused = True
        for stream in list(self._streams.values()):
            stream.pause_output()

    def resume_writing(self) -> None:
        self.output_paused = False
        for stream in list(self._streams.values()):
            stream.resume_output()
        self._start_calls()

    def connection_lost(self, exc: Exception | None) -> None:
        log.debug("Client left client=%s error=%s", self.label, exc)
        connection, self._connection = self._connection, None
        self._keepalive.stop()
        if self._open_timer is not None:
            self._open_timer.cancel()
        self._end_packet()
        self._backlog.clear()
        for stream in list(self._streams.values()):
            stream.abandon()
        if connection is not None:
            self._owner.leave(self, connection.facts, self._counted_bytes)

    # What the server calls.

    @property
    def connection(self) -> Connection | None:
        """None before the client is admitted and after it is gone."""
        return self._connection

    @property
    def label(self) -> str:
        return self._connection.label if self._connection is not None else "unknown"

    def finish_call(self, frame: Frame, outcome: Outcome) -> None:
        """A worker has the answer."""
        self._in_flight -= 1
        self._in_flight_bytes -= len(frame.payload)
        if self._connection is None:
            if outcome.endpoint is not None:
                outcome.endpoint.on_abort()
            return
        self._reply(frame, outcome)
        self._start_calls()

    def deliver(self, packets: Packets) -> None:
        """Send an event to every registration of this client that wants it. Raises WireError when it has no bytes."""
        if self._connection is None or not self._connection.opened:
            return
        for callback_id in self._connection.registrations.wanting(packets.event):
            self._send(packets.packet(callback_id))

    def drop(self, reason: str) -> None:
        """End the connection at once, whatever is still queued for the client."""
        if self._connection is not None and not self.transport.is_closing():
            self._owner.complaints.warning("Client dropped client=%s reason=%r", self.label, reason)
            self.transport.abort()

    def close(self) -> None:
        """End the connection once everything queued is sent."""
        self._backlog.clear()
        if self._transport is not None:
            self._transport.close()

    # What a stream calls.

    def drop_if_left(self) -> None:
        if not self.transport.is_closing() and _hung_up(self.transport.get_extra_info("socket").fileno()):
            self.drop("it left while it was not read from")

    def send_frame(self, frame: Frame) -> None:
        self._send(frame.encode())

    def forget_stream(self, stream: Stream) -> None:
        if self._streams.get(stream.serial) is stream:
            del self._streams[stream.serial]

    def encode_error(self, error: RemoteError) -> bytes:
        return encode_error(error)

    def adjust_reading(self) -> None:
        """Read from the client, or stop reading while too much of it waits."""
        if self._connection is None or self.transport.is_closing():
            return
        full = (
            len(self._backlog) > self._settings.max_backlog_calls
            or self._backlog_bytes > self._settings.max_backlog_bytes
            or any(stream.input_paused for stream in self._streams.values())
        )
        if full and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()
        elif self._reading_paused and not full:
            self._reading_paused = False
            self._keepalive.sign_of_life()
            self.transport.resume_reading()

    # Frames.

    def _receive(self, frame: Frame) -> None:
        if frame.program == KEEPALIVE_PROGRAM:
            if frame.procedure == KEEPALIVE_PING:
                self._send(_PONG)
        elif frame.type == FrameType.CALL:
            self._backlog.append(frame)
            self._backlog_bytes += len(frame.payload)
            self._start_calls()
        elif frame.type in (FrameType.STREAM, FrameType.STREAM_HOLE):
            self._receive_stream(frame)
        else:
            # Replies and messages only go the other way, and descriptors were never offered.
            self.drop(f"it sent a packet of type {frame.type}")

    def _receive_stream(self, frame: Frame) -> None:
        stream = self._streams.get(frame.serial)
        # What comes late for a stream that has ended is no error: the client may not know yet.
        if stream is not None and frame.program == REMOTE_PROGRAM and stream.procedure == frame.procedure:
            stream.receive(frame)

    def _start_calls(self) -> None:
        while (
            self._backlog
            and self._connection is not None
            and not self.output_paused
            and self._in_flight < self._settings.max_calls_per_client
        ):
            frame = self._backlog.popleft()
            self._backlog_bytes -= len(frame.payload)
            self._start_call(frame, self._connection)
        self.adjust_reading()

    def _start_call(self, frame: Frame, connection: Connection) -> None:
        refusal = self._refusal(frame, connection)
        if refusal is not None:
            self._reply(frame, failure(refusal))
        elif frame.program == REMOTE_PROGRAM and frame.procedure in SESSION_PROCEDURES:
            self._answer_here(frame, connection)
        elif self._owner.run_call(self, frame):
            self._in_flight += 1
            self._in_flight_bytes += len(frame.payload)

    def _refusal(self, frame: Frame, connection: Connection) -> RemoteError | None:
        if frame.version != PROTOCOL_VERSION:
            return _rpc_error(f"cannot find program {frame.program} version {frame.version}")
        if not connection.may_call(frame):
            return _rpc_error("the connection is not open yet")
        if frame.serial in self._streams:
            return _rpc_error(f"serial {frame.serial} belongs to an open stream")
        return None

    def _answer_here(self, frame: Frame, connection: Connection) -> None:
        procedure, run = SESSION_PROCEDURES[frame.procedure]
        context = Context(client=connection.facts, procedure=procedure)
        outcome = self._owner.dispatcher.answer(procedure, frame.payload, context, lambda args: run(connection, args))
        self._reply(frame, outcome)
        if connection.opened:
            self._reader.max_frame_bytes = (
                self._settings.max_readonly_frame_bytes
                if connection.facts.readonly
                else self._settings.max_frame_bytes
            )
        if connection.keepalive_wanted:
            self._keepalive.start()
        if frame.procedure == proc.CONNECT_CLOSE.number:
            self.close()

    def _reply(self, frame: Frame, outcome: Outcome) -> None:
        endpoint = outcome.endpoint
        if endpoint is not None and not outcome.failed:
            outcome = self._stream_refusal(frame) or outcome
        self._send(
            Frame(
                program=frame.program,
                version=frame.version,
                procedure=frame.procedure,
                type=FrameType.REPLY,
                serial=frame.serial,
                status=FrameStatus.ERROR if outcome.failed else FrameStatus.OK,
                payload=outcome.payload,
            ).encode()
        )
        if endpoint is None:
            return
        if outcome.failed or self.transport.is_closing():
            endpoint.on_abort()
            return
        stream = Stream(
            owner=self,
            loop=self._loop,
            call=frame,
            endpoint=endpoint,
            stall_seconds=self._settings.stream_stall_seconds,
        )
        self._streams[frame.serial] = stream
        stream.start()

    def _stream_refusal(self, frame: Frame) -> Outcome | None:
        if frame.serial in self._streams:
            return failure(_rpc_error(f"serial {frame.serial} belongs to an open stream"))
        if len(self._streams) >= self._settings.max_streams_per_client:
            return failure(_rpc_error(f"this connection has {len(self._streams)} streams open; close one first"))
        return None

    def _ping(self) -> None:
        # While we do not read, an answer could not reach us.
        if self._reading_paused:
            self._keepalive.sign_of_life()
        else:
            self._send(_PING)

    def _send(self, data: bytes) -> None:
        """One write per packet: old go-libvirt takes a packet for broken when its header comes alone."""
        if self._connection is None or self.transport.is_closing():
            return
        queued = self.transport.get_write_buffer_size()
        if queued > self._settings.max_queued_bytes:
            self.drop(f"it left {queued} bytes unread")
        else:
            self.transport.write(data)
            self.account()

    def account(self) -> None:
        """Tell the server what is held for this client now; a client over its user's share is dropped."""
        if self._connection is None or not self._connection.facts.unprivileged or self.transport.is_closing():
            return
        held = self.held_bytes()
        more, self._counted_bytes = held - self._counted_bytes, held
        if not self._owner.may_hold(self, more) and held:
            self.drop("its user has too much unread or unanswered")

    def held_bytes(self) -> int:
        waiting = self._reader.buffered_bytes + self._backlog_bytes + self._in_flight_bytes
        return waiting + self.transport.get_write_buffer_size()

    def recount(self) -> int:
        """How many bytes more, or fewer, are held than were counted; they are counted now."""
        held = 0 if self.transport.is_closing() else self.held_bytes()
        more, self._counted_bytes = held - self._counted_bytes, held
        return more

    def _begin_packet(self) -> None:
        """Whoever may be anybody must end the packet it begins in time."""
        if (
            self._reader.buffered_bytes
            and self._packet_timer is None
            and self._connection is not None
            and self._connection.facts.unprivileged
        ):
            self._packet_timer = self._loop.call_later(self._settings.readonly_packet_seconds, self._packet_late)

    def _packet_late(self) -> None:
        self._packet_timer = None
        if self._reading_paused:  # it is not the client that takes so long
            self._begin_packet()
        else:
            self.drop("it did not end a packet in time")

    def _end_packet(self) -> None:
        if self._packet_timer is not None:
            self._packet_timer.cancel()
            self._packet_timer = None

    def _require_opened(self, connection: Connection) -> None:
        if not connection.opened:
            self.drop("it did not open a connection in time")


def _rpc_error(message: str) -> RemoteError:
    return RemoteError(code=ErrorCode.RPC, domain=ErrorDomain.RPC, message=message)


def _hung_up(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLRDHUP)
    return bool(poller.poll(0))
