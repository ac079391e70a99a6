# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Byte streams between a client and something on this host, such as a container's console.

A stream has two sides. The *endpoint* is ours: it is told what the client does. The *sink* is the way to the client.
Back-pressure goes both ways: the session pauses the endpoint while the client does not take what it was sent, and
the endpoint pauses the client's input while it cannot pass it on. Rules of the wire (libvirt's, tested with its C
client): end of data is an empty packet, an end or abort by the client is answered, and the server never finishes by
itself.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Final, Protocol

from covirt.wire.framing import MAX_STREAM_PAYLOAD_BYTES, Frame, FrameStatus, FrameType
from covirt.wire.structs import RemoteError

log = logging.getLogger(__name__)

_INPUT_HIGH_BYTES: Final = 1 << 20  # unsent input at which the client is no longer read from
_INPUT_LOW_BYTES: Final = 1 << 18
_READ_BYTES: Final = 65536
_LOOK_SECONDS: Final = 1.0  # between looks whether a client that is not read from is still there
_FLUSH_SECONDS: Final = 5.0  # how long the last input of a finished stream may take


class Sink(Protocol):
    """The way to the client. Every method may be called from any thread, and after the end, when it does nothing."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def end(self) -> None:
        """No more bytes will come: the client sees an end of file."""

    def fail(self, error: RemoteError) -> None:
        """Break the stream off with an error."""

    def pause_input(self, *, patiently: bool = False) -> None:
        """Stop reading from the client. When this lasts too long the stream fails and on_abort() is called.

        ``patiently`` lets it last as long as the client is there, which then waits with everything it asks over the
        same connection.
        """

    def resume_input(self) -> None:
        """Read from the client again."""


class Endpoint(Protocol):
    """Our side of a stream. All methods are called in the server's event loop, and must not block.

    Exactly one of on_finish() and on_abort() is the last call; also when the stream never started.
    """

    def start(self, sink: Sink) -> None:
        """The client knows that the stream is open; bytes may flow."""

    def on_data(self, data: bytes) -> None:
        """The client sent bytes."""

    def on_finish(self) -> None:
        """The client has sent everything and wants nothing more."""

    def on_abort(self) -> None:
        """The client broke off, or is gone."""

    def pause(self) -> None:
        """The client is behind: write nothing more for now."""

    def resume(self) -> None:
        """The client has caught up."""


class StreamOwner(Protocol):
    """What a stream needs of its session."""

    def send_frame(self, frame: Frame) -> None: ...

    def forget_stream(self, stream: "Stream") -> None: ...

    def adjust_reading(self) -> None: ...

    def encode_error(self, error: RemoteError) -> bytes: ...

    def drop_if_left(self) -> None:
        """End the session when its client is gone, which nobody notices while it is not read from."""

    @property
    def output_paused(self) -> bool: ...


class Stream:
    """One open stream of one session: a Sink for the endpoint, and the receiver of the client's stream packets."""

    def __init__(
        self,
        *,
        owner: StreamOwner,
        loop: asyncio.AbstractEventLoop,
        call: Frame,
        endpoint: Endpoint,
        stall_seconds: float,
    ) -> None:
        self.serial = call.serial
        self.procedure = call.procedure
        self.input_paused = False
        self._owner = owner
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._call = call
        self._endpoint = endpoint
        self._stall_seconds = stall_seconds
        self._stall: asyncio.TimerHandle | None = None
        self._ended = False
        self._closed = False

    def start(self) -> None:
        self._endpoint.start(self)
        if self._owner.output_paused:
            self._endpoint.pause()

    # What the endpoint calls.

    def write(self, data: bytes) -> None:
        self._in_loop(lambda: self._write(data))

    def end(self) -> None:
        self._in_loop(self._end)

    def fail(self, error: RemoteError) -> None:
        self._in_loop(lambda: self._fail(error))

    def pause_input(self, *, patiently: bool = False) -> None:
        self._in_loop(lambda: self._pause_input(patiently=patiently))

    def resume_input(self) -> None:
        self._in_loop(self._resume_input)

    # What the session calls.

    def receive(self, frame: Frame) -> None:
        """A stream packet of the client."""
        if frame.type == FrameType.STREAM_HOLE:
            self._fail_and_abort("this stream has no holes: it is not a file")
        elif frame.status == FrameStatus.CONTINUE:
            if frame.payload:
                self._endpoint.on_data(frame.payload)
        elif frame.status == FrameStatus.OK:
            self._close()
            self._endpoint.on_finish()
            self._send(FrameStatus.OK)
        else:
            self._close()
            self._endpoint.on_abort()
            # An abort is answered with OK as well: an error here makes the client's abort call fail.
            self._send(FrameStatus.OK)

    def pause_output(self) -> None:
        self._endpoint.pause()

    def resume_output(self) -> None:
        self._endpoint.resume()

    def abandon(self) -> None:
        """The client is gone."""
        if not self._closed:
            self._close()
            self._endpoint.on_abort()

    def _write(self, data: bytes) -> None:
        if self._closed or self._ended:
            return
        for start in range(0, len(data), MAX_STREAM_PAYLOAD_BYTES):
            self._send(FrameStatus.CONTINUE, data[start : start + MAX_STREAM_PAYLOAD_BYTES])

    def _end(self) -> None:
        if not (self._closed or self._ended):
            self._ended = True
            self._send(FrameStatus.CONTINUE)

    def _fail(self, error: RemoteError) -> None:
        if not self._closed:
            self._close()
            self._send(FrameStatus.ERROR, self._owner.encode_error(error))

    def _fail_and_abort(self, message: str) -> None:
        if not self._closed:
            self._fail(RemoteError(code=9, domain=38, message=message))  # OPERATION_FAILED, from STREAMS
            self._endpoint.on_abort()

    def _pause_input(self, *, patiently: bool) -> None:
        if not (self._closed or self.input_paused):
            self.input_paused = True
            if patiently:
                self._look_after_client()
            else:
                self._stall = self._loop.call_later(
                    self._stall_seconds, self._fail_and_abort, "nothing in the container reads this console's input"
                )
            self._owner.adjust_reading()

    def _look_after_client(self) -> None:
        self._stall = self._loop.call_later(_LOOK_SECONDS, self._look_after_client)
        self._owner.drop_if_left()

    def _resume_input(self) -> None:
        if self.input_paused:
            self.input_paused = False
            self._cancel_stall()
            self._owner.adjust_reading()

    def _cancel_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _close(self) -> None:
        self._closed = True
        self.input_paused = False
        self._cancel_stall()
        self._owner.forget_stream(self)
        self._owner.adjust_reading()

    def _send(self, status: FrameStatus, payload: bytes = b"") -> None:
        self._owner.send_frame(
            Frame(
                program=self._call.program,
                procedure=self.procedure,
                type=FrameType.STREAM,
                serial=self.serial,
                status=status,
                payload=payload,
            )
        )

    def _in_loop(self, action: Callable[[], None]) -> None:
        if threading.get_ident() == self._loop_thread:
            action()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server has stopped
                self._loop.call_soon_threadsafe(action)


class DescriptorEndpoint:
    """Couples a stream with a descriptor: a socket, a pty, or conmon's attach socket.

    Takes over ``descriptor`` (any kind that epoll knows) and closes it at the end, then calls ``on_close`` once.
    ``unwrap`` turns what one read gave into the client's bytes; ``chunk_bytes`` is the most one write gets, which
    matters where a write is a packet.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        unwrap: Callable[[bytes], bytes] | None = None,
        on_close: Callable[[], None] | None = None,
        chunk_bytes: int = 8192,
    ) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._unwrap = unwrap
        self._on_close = on_close
        self._chunk_bytes = chunk_bytes
        self._pending = bytearray()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sink: Sink | None = None
        self._reading = False
        self._writing = False
        self._input_paused = False
        self._finishing = False
        self._at_end = False

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self.resume()

    def on_data(self, data: bytes) -> None:
        if self._descriptor < 0:
            return
        self._pending += data
        self._flush()
        if len(self._pending) >= _INPUT_HIGH_BYTES and not self._input_paused and self._sink is not None:
            self._input_paused = True
            self._sink.pause_input()

    def on_finish(self) -> None:
        self._stop_reading()
        self._finishing = True
        if not self._pending or self._loop is None:
            self._close()
        elif self._descriptor >= 0:
            self._loop.call_later(_FLUSH_SECONDS, self._close)

    def on_abort(self) -> None:
        self._close()

    def pause(self) -> None:
        self._stop_reading()

    def resume(self) -> None:
        if (
            self._loop is not None
            and self._descriptor >= 0
            and not (self._reading or self._finishing or self._at_end)
        ):
            self._reading = True
            self._loop.add_reader(self._descriptor, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:  # a pty whose other side closed gives EIO
            log.debug("Stream source ended error=%s", error)
            data = b""
        if self._sink is None:
            return
        if data:
            self._sink.write(self._unwrap(data) if self._unwrap else data)
        else:
            self._at_end = True
            self._stop_reading()
            self._sink.end()

    def _flush(self) -> None:
        try:
            while self._pending:
                count = os.write(self._descriptor, self._pending[: self._chunk_bytes])
                del self._pending[:count]
        except BlockingIOError:
            pass
        except OSError as error:
            log.debug("Stream target is gone error=%s", error)
            self._pending.clear()
        self._watch_writable()
        if self._input_paused and len(self._pending) <= _INPUT_LOW_BYTES and self._sink is not None:
            self._input_paused = False
            self._sink.resume_input()
        if self._finishing and not self._pending:
            self._close()

    def _watch_writable(self) -> None:
        if self._loop is None:
            return
        if self._pending and not self._writing:
            self._writing = True
            self._loop.add_writer(self._descriptor, self._flush)
        elif not self._pending and self._writing:
            self._writing = False
            self._loop.remove_writer(self._descriptor)

    def _stop_reading(self) -> None:
        if self._reading and self._loop is not None:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _close(self) -> None:
        if self._descriptor < 0:
            return
        self._stop_reading()
        self._pending.clear()
        self._watch_writable()
        os.close(self._descriptor)
        self._descriptor = -1
        if self._on_close is not None:
            self._on_close()
