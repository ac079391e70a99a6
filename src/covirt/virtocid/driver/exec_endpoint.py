# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Our side of an exec channel: frames from the client to a process's streams, and back.

The process ends with the stream: a client that is gone, or wants no more, cannot leave it behind. The client's input
waits for the process, and the process's output for the client.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor as Pool
from typing import Final

from covirt.common.channels import (
    ChannelDecoder,
    ChannelFrame,
    ChannelSize,
    ExecChannelExit,
    ExecChannelRequest,
    FrameKind,
    encode_data,
)
from covirt.common.errors import Error, InvalidRequest
from covirt.oci.execution import ExecEnd, Execution
from covirt.oci.execution_errors import CommandNotExecutable, CommandNotFound
from covirt.oci.runtime import TerminalSize
from covirt.virtocid.driver.errors import translate
from covirt.virtocid.streams import Sink

log = logging.getLogger(__name__)

_INPUT_HIGH_BYTES: Final = 1 << 20  # unread input at which the client is no longer read from
_INPUT_LOW_BYTES: Final = 1 << 18
_READ_BYTES: Final = 65536
# What may still come of an output after the end: as much as a pipe holds. A background process could write for ever.
_LATE_BYTES: Final = 1 << 20
# A terminal's output reaches us through a worker of the kernel, so an empty terminal may not be all there was.
_LATE_SECONDS: Final = 0.25
_END_OF_FILE: Final = b"\x04"  # what ends the input of a terminal in its usual mode
_CANNOT_START: Final = 125
_CODES: Final = ((CommandNotExecutable, 126), (CommandNotFound, 127))

Start = Callable[[ExecChannelRequest], Execution]


class UnexpectedFrame(InvalidRequest):
    template = "this is not what an exec channel expects: {what}"


class ExecEndpoint:
    """An Endpoint of virtocid.streams. ``start`` is called in ``pool``; it may take long."""

    def __init__(self, start: Start, pool: Pool) -> None:
        self._start = start
        self._pool = pool
        self._decoder = ChannelDecoder()
        self._sink: Sink | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = False
        self._over = False  # the client is gone, or has been told the exit
        self._execution: Execution | None = None
        self._end: ExecEnd | None = None
        self._paused = False
        self._outputs: dict[int, FrameKind] = {}
        self._late_bytes = 0
        self._outputs_may_be_late = False
        self._size: ChannelSize | None = None
        self._pending = bytearray()
        self._end_typed = False
        self._input_ended = False
        self._input_paused = False
        self._writing = False

    # What the stream calls, in the event loop.

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()

    def on_data(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                if not self._over:
                    self._receive(frame)
        except Error as error:
            self._fail(error)

    def on_finish(self) -> None:
        self._close()

    def on_abort(self) -> None:
        self._close()

    def pause(self) -> None:
        self._paused = True
        for descriptor in self._outputs:
            self._running_loop.remove_reader(descriptor)

    def resume(self) -> None:
        self._paused = False
        for descriptor in list(self._outputs):
            self._running_loop.add_reader(descriptor, self._readable, descriptor)
        if self._end is not None and not self._outputs_may_be_late:
            self._running_loop.call_soon(self._no_more)

    # Frames of the client.

    def _receive(self, frame: ChannelFrame) -> None:
        if frame.kind is FrameKind.REQUEST and not self._asked:
            self._asked = True
            request = ExecChannelRequest.parse(frame.data)
            self._pool.submit(self._begin, request)
        elif not self._asked:
            raise UnexpectedFrame(what="the first frame must be a request")
        elif frame.kind is FrameKind.STDIN:
            self._take_input(frame.data)
        elif frame.kind is FrameKind.RESIZE:
            self._resize(ChannelSize.parse(frame.data))
        else:
            raise UnexpectedFrame(what=f"a client sends no frame of kind {frame.kind.value} here")

    def _resize(self, size: ChannelSize) -> None:
        self._size = size
        if self._execution is not None and self._execution.terminal:
            # One that has just ended has no terminal any more.
            with contextlib.suppress(OSError):
                self._execution.resize(TerminalSize(rows=size.rows, columns=size.columns))

    # The client's input.

    def _take_input(self, data: bytes) -> None:
        if self._input_ended:
            return
        self._input_ended = not data
        self._pending += data
        self._flush()
        if len(self._pending) >= _INPUT_HIGH_BYTES and not self._input_paused and self._sink is not None:
            self._input_paused = True
            self._sink.pause_input(patiently=True)  # it is the container's affair when it reads

    def _flush(self) -> None:
        execution = self._execution
        if execution is None or execution.stdin < 0:
            return
        try:
            while self._pending:
                count = os.write(execution.stdin, self._pending[:_READ_BYTES])
                del self._pending[:count]
        except BlockingIOError:
            pass
        except OSError as error:  # the process reads no more: what it gets is lost, as in any pipe
            log.debug("Input of a process is closed error=%s", error)
            self._pending.clear()
            self._input_ended = True
        self._watch_writable(execution, wanted=bool(self._pending))
        if self._input_paused and len(self._pending) <= _INPUT_LOW_BYTES and self._sink is not None:
            self._input_paused = False
            self._sink.resume_input()
        if self._input_ended and not self._pending:
            self._end_input(execution)

    def _watch_writable(self, execution: Execution, *, wanted: bool) -> None:
        if wanted and not self._writing:
            self._running_loop.add_writer(execution.stdin, self._flush)
        elif self._writing and not wanted:
            self._running_loop.remove_writer(execution.stdin)
        self._writing = wanted

    def _end_input(self, execution: Execution) -> None:
        if execution.terminal:  # it goes on for what the terminal answers; a terminal's input ends by a character
            if not self._end_typed:
                self._end_typed = True
                with contextlib.suppress(OSError):
                    os.write(execution.stdin, _END_OF_FILE)
        else:
            execution.close_stdin()

    # The process.

    def _begin(self, request: ExecChannelRequest) -> None:
        """In the pool."""
        try:
            execution = self._start(request)
        except Error as error:
            told = _told(error)
            self._in_loop(lambda: self._tell_exit(told))
        except Exception:  # a thread top: a bug here must not leave the client waiting
            log.exception("A process could not be started")
            self._in_loop(lambda: self._tell_exit(_told(Error(message="virtocid failed; its log says how"))))
        else:
            self._in_loop(lambda: self._begun(execution), or_else=execution.close)

    def _begun(self, execution: Execution) -> None:
        if self._over:
            execution.close()
            return
        self._execution = execution
        self._outputs = {execution.stdout: FrameKind.STDOUT}
        if not execution.terminal:
            self._outputs[execution.stderr] = FrameKind.STDERR
        for descriptor in (execution.stdin, *self._outputs):
            os.set_blocking(descriptor, False)
        if self._size is not None:
            self._resize(self._size)
        if not self._paused:
            self.resume()
        self._flush()
        execution.on_end(lambda end: self._in_loop(lambda: self._ended(end)))

    def _readable(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            if self._end is not None and not self._outputs_may_be_late:
                self._output_ended(descriptor)
            return
        except OSError:  # the last user of a terminal is gone
            data = b""
        if not data or self._sink is None:
            self._output_ended(descriptor)
            return
        self._sink.write(encode_data(self._outputs[descriptor], data))
        if self._end is not None:
            self._late_bytes += len(data)
            if self._late_bytes > _LATE_BYTES:
                self._output_ended(descriptor)

    def _output_ended(self, descriptor: int) -> None:
        self._running_loop.remove_reader(descriptor)
        del self._outputs[descriptor]
        self._exit_when_read()

    def _ended(self, end: ExecEnd) -> None:
        """The process has ended; what it wrote is still to be read, at the client's pace."""
        if self._over:
            return
        self._end = end
        if self._execution is not None and self._execution.terminal:
            self._outputs_may_be_late = True
            self._running_loop.call_later(_LATE_SECONDS, self._no_more)
        else:
            self._no_more()

    def _no_more(self) -> None:
        """From here on an empty output has ended, whoever else may hold it."""
        self._outputs_may_be_late = False
        if not (self._over or self._paused):
            for descriptor in list(self._outputs):
                self._drain(descriptor)
            self._exit_when_read()

    def _drain(self, descriptor: int) -> None:
        while descriptor in self._outputs and not self._paused:
            self._readable(descriptor)

    def _exit_when_read(self) -> None:
        if self._end is not None and not self._outputs and not self._over:
            self._tell_exit(_exit_of(self._end))

    # The end.

    def _tell_exit(self, told: ExecChannelExit) -> None:
        if self._over or self._sink is None:
            return
        self._sink.write(ChannelFrame(kind=FrameKind.EXIT, data=told.encode()).encode())
        self._sink.end()
        self._close()

    def _fail(self, error: Error) -> None:
        """The client does not speak what it should."""
        if not self._over and self._sink is not None:
            self._sink.fail(translate(error))
        self._close()

    def _close(self) -> None:
        self._over = True
        execution, self._execution = self._execution, None
        if execution is not None:
            for descriptor in self._outputs:
                self._running_loop.remove_reader(descriptor)
            self._watch_writable(execution, wanted=False)
            execution.close()
        self._outputs = {}
        self._pending.clear()
        if self._input_paused and self._sink is not None:
            self._input_paused = False
            self._sink.resume_input()

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None, "not started"  # noqa: S101
        return self._loop

    def _in_loop(self, action: Callable[[], None], *, or_else: Callable[[], None] = lambda: None) -> None:
        try:
            self._running_loop.call_soon_threadsafe(action)
        except RuntimeError:  # the loop is closed: the server has stopped
            or_else()


def _exit_of(end: ExecEnd) -> ExecChannelExit:
    if end.exit_code is None and end.signal is None:
        return ExecChannelExit(error="how the process ended is not known: the helper that looked after it was killed")
    return ExecChannelExit(exit_code=end.exit_code, signal=end.signal)


def _told(error: Error) -> ExecChannelExit:
    """With the exit code that a shell, Podman and Docker give for it."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), _CANNOT_START)
    return ExecChannelExit(error=str(error), exit_code=code)
