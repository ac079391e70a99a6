# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virtocid-exec's work: this program's streams on one side, an exec channel on the other."""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from covirt.common.channels import (
    EXEC_CHANNEL,
    ChannelDecoder,
    ChannelFrame,
    ChannelSize,
    ExecChannelExit,
    ExecChannelRequest,
    FrameKind,
)
from covirt.common.errors import Error
from covirt.common.output import OutputGone, discard_output, write_all
from covirt.common.terminal import raw_terminal
from covirt.virtocid.client import ClientStream
from covirt.virtocid.commands.connect import OWN_FAILURE, DaemonGone, complain, connect, open_channel

_STDIN: Final = 0
_OUTPUTS: Final = {FrameKind.STDOUT: 1, FrameKind.STDERR: 2}
_READ_BYTES: Final = 65536
_UNSENT_BYTES: Final = 1 << 18  # at which standard input waits
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


class _Ended(SystemExit):
    """A signal asked this program to end: the terminal is put in order on the way out."""


def run_session(program: str, root: Path, domain: str, request: ExecChannelRequest, *, interactive: bool) -> int:
    """Run the command to its end; the exit status for the shell. What goes wrong is said on stderr."""
    try:
        with _signals_as_exceptions(), connect(root) as client:
            stream = open_channel(client, domain, EXEC_CHANNEL)
            raw = request.terminal and interactive
            with raw_terminal(_STDIN) if raw else contextlib.nullcontext():
                end = _Session(stream, request, interactive=interactive).run()
    except OutputGone:
        discard_output()
        return 128 + signal.SIGPIPE
    except Error as error:
        complain(program, error)
        return OWN_FAILURE
    if end.error is not None:
        complain(program, end.error)
    return end.shell_status(otherwise=OWN_FAILURE)


class _Session:
    """The loop that moves bytes. Standard output is written blocking: while nobody reads it, the command waits."""

    def __init__(self, stream: ClientStream, request: ExecChannelRequest, *, interactive: bool) -> None:
        self._stream = stream
        self._request = request
        self._decoder = ChannelDecoder()
        self._reads_input = interactive
        self._end: ExecChannelExit | None = None

    def run(self) -> ExecChannelExit:
        """Raises CallFailed, BadChannelFrame, BadChannelRequest, DaemonGone, OutputGone."""
        with _resizes() as resized:
            try:
                return self._run(resized)
            except (EOFError, ConnectionError) as error:
                raise DaemonGone() from error

    def _run(self, resized: int) -> ExecChannelExit:
        self._send(FrameKind.REQUEST, self._request.encode())
        if not self._reads_input and not self._request.terminal:
            self._send(FrameKind.STDIN, b"")
        while True:
            ready = self._wait(resized)
            if resized in ready:
                os.read(resized, 4096)
                self._resize()
            if self._stream.unsent_bytes:
                self._stream.flush()
            if _STDIN in ready:
                self._read_input()
            if self._stream.fileno() in ready:
                self._receive(self._stream.read())
                if self._end is not None:
                    return self._end
                if self._stream.ended:
                    raise DaemonGone()

    def _wait(self, resized: int) -> set[int]:
        poller = select.poll()
        poller.register(resized, select.POLLIN)
        writes = select.POLLOUT if self._stream.unsent_bytes else 0
        poller.register(self._stream.fileno(), select.POLLIN | writes)
        if self._reads_input and self._stream.unsent_bytes < _UNSENT_BYTES:
            poller.register(_STDIN, select.POLLIN)
        return {descriptor for descriptor, events in poller.poll() if events & ~select.POLLOUT}

    def _read_input(self) -> None:
        try:
            data = os.read(_STDIN, _READ_BYTES)
        except OSError:  # the terminal is gone
            data = b""
        self._reads_input = bool(data)
        self._send(FrameKind.STDIN, data)

    def _resize(self) -> None:
        if self._request.terminal:
            with contextlib.suppress(OSError):
                present = os.get_terminal_size(_STDIN)
                size = ChannelSize(rows=max(1, present.lines), columns=max(1, present.columns))
                self._send(FrameKind.RESIZE, size.encode())

    def _send(self, kind: FrameKind, data: bytes) -> None:
        self._stream.write(ChannelFrame(kind=kind, data=data).encode())

    def _receive(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            if frame.kind in _OUTPUTS:
                write_all(_OUTPUTS[frame.kind], frame.data)
            elif frame.kind is FrameKind.EXIT:
                self._end = ExecChannelExit.parse(frame.data)


@contextlib.contextmanager
def _resizes() -> Iterator[int]:
    """A descriptor that becomes readable when this terminal changes its size."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    before = signal.signal(signal.SIGWINCH, lambda *_: None)
    try:
        yield reader
    finally:
        signal.signal(signal.SIGWINCH, before)
        signal.set_wakeup_fd(wakeup)
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    def end(number: int, _frame: FrameType | None) -> None:
        raise _Ended(128 + number)

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.stdout.flush()
