# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A process in a container whose input is given at once and whose output is collected until somebody asks for it."""

import errno
import logging
import os
import select
import threading
from typing import Final

from covirt.oci.execution import ExecEnd, Execution

log = logging.getLogger(__name__)

_CHUNK_BYTES: Final = 1 << 16
_JOIN_SECONDS: Final = 10.0
_LAST_READS: Final = 64  # more than any pipe holds
_MOST_FINISHED: Final = 16  # whose end nobody asked for: the oldest are forgotten
_MOST_FINISHED_BYTES: Final = 8 << 20  # of their output; the newest is kept in any case


class Collected:
    """The beginning of an output. More than ``limit_bytes`` is read, so that nobody waits, and forgotten."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._data = bytearray()
        self.truncated = False

    @property
    def data(self) -> bytes:
        return bytes(self._data)

    @property
    def kept_bytes(self) -> int:
        return len(self._data)

    def add(self, data: bytes) -> None:
        room = self._limit_bytes - len(self._data)
        self._data += data[:room]
        self.truncated = self.truncated or (len(data) > room and self._limit_bytes > 0)


class CapturedProcess:
    """Owns the execution: a thread feeds it, reads it, and closes it once the process has ended.

    What a process that has ended left running in the background may write on; nobody waits for that.
    """

    def __init__(self, execution: Execution, data: bytes, out: Collected, err: Collected) -> None:
        self.out, self.err = out, err
        self._execution = execution
        self._data = memoryview(data)
        self._end: ExecEnd | None = None
        self._lock = threading.Lock()  # who closes the event, and who writes to it
        self._ended = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poller = select.poll()
        self._outputs = {execution.stdout: out, execution.stderr: err}
        self._thread = threading.Thread(target=self._run, name="agent-exec", daemon=True)
        for descriptor in (execution.stdin, *self._outputs):
            os.set_blocking(descriptor, False)
        self._poller.register(self._ended, select.POLLIN)
        for descriptor in self._outputs:
            self._poller.register(descriptor, select.POLLIN)
        self._feed_more()
        self._thread.start()
        execution.on_end(self._tell_end)

    @property
    def end(self) -> ExecEnd | None:
        """How it ended; None while it runs. All of its output is collected by then."""
        return self._end

    @property
    def kept_bytes(self) -> int:
        return sum(output.kept_bytes for output in {self.out, self.err})

    def close(self) -> None:
        """Kill it when it still runs, and wait until nothing of it is left here."""
        self._execution.kill()
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        try:
            while not self._turn():
                pass
            for descriptor, output in self._outputs.items():
                for _ in range(_LAST_READS):
                    if not self._read(descriptor, output):
                        break
        except Exception:  # the top of a thread
            log.exception("Output of a process could not be collected pid=%d", self._execution.pid)
        finally:
            end = self._execution.end
            self._execution.close()
            with self._lock:
                os.close(self._ended)
                self._end = end or ExecEnd()

    def _tell_end(self, _end: ExecEnd) -> None:
        with self._lock:
            if self._end is None:
                os.eventfd_write(self._ended, 1)

    def _turn(self) -> bool:
        """Wait for something, and do it; True when the process has ended."""
        for descriptor, _ in self._poller.poll():
            if descriptor == self._ended:
                return True
            output = self._outputs.get(descriptor)
            if output is None:
                self._feed()
            elif not self._read(descriptor, output):
                self._poller.unregister(descriptor)
        return False

    def _read(self, descriptor: int, output: Collected) -> bool:
        """Take what there is; False at the end, or when there is nothing for now."""
        try:
            data = os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        output.add(data)
        return bool(data)

    def _feed(self) -> None:
        try:
            self._data = self._data[os.write(self._execution.stdin, self._data[:_CHUNK_BYTES]) :]
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return
            self._data = self._data[:0]  # nobody reads it
        if not self._data:
            self._poller.unregister(self._execution.stdin)
            self._feed_more()

    def _feed_more(self) -> None:
        if self._data:
            self._poller.register(self._execution.stdin, select.POLLOUT)
            return
        self._execution.close_stdin()


class Processes:
    """Those of one run, by pid. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, CapturedProcess] = {}
        self._captures: dict[int, bool] = {}
        self._closed = False

    def add(self, pid: int, process: CapturedProcess, *, captures: bool) -> None:
        with self._lock:
            self._known[pid] = process
            self._captures[pid] = captures
            self._forget_old()
            closed = self._closed
        if closed:
            process.close()

    def status(self, pid: int) -> tuple[CapturedProcess, bool] | None:
        """The process, and whether its output is wanted. One that has ended is told of once."""
        with self._lock:
            process = self._known.get(pid)
            if process is None:
                return None
            captures = self._captures[pid]
            if process.end is not None:
                self._drop(pid)
            return process, captures

    def close(self) -> None:
        with self._lock:
            self._closed = True
            processes = list(self._known.values())
        for process in processes:
            process.close()

    def _forget_old(self) -> None:
        finished = [number for number, each in self._known.items() if each.end is not None]
        kept_bytes = 0
        for place, number in enumerate(reversed(finished)):
            kept_bytes += self._known[number].kept_bytes
            if place >= _MOST_FINISHED or (place and kept_bytes > _MOST_FINISHED_BYTES):
                self._drop(number)

    def _drop(self, pid: int) -> None:
        del self._known[pid], self._captures[pid]
