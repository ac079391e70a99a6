# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a process in a container writes, read to its end within limits of time and size."""

import os
import select
import time
from dataclasses import dataclass
from typing import Final

from covirt.oci.execution import ExecEnd, Execution

_READ_BYTES: Final = 65536
_WRITE_BYTES: Final = 4096  # what a pipe that polls as writable takes without blocking (PIPE_BUF)
_KILL_SECONDS: Final = 5.0
_LOOK_MS: Final = 200  # how late an end is noticed while background processes hold the pipes


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """``end`` is None for a process that was killed because its time was up. Outputs are cut at the limit."""

    end: ExecEnd | None
    stdout: bytes
    stderr: bytes
    truncated: bool = False


def capture(
    execution: Execution, *, timeout_seconds: float, stdin_data: bytes = b"", limit_bytes: int = 1 << 20
) -> Captured:
    """Feed a process that was started without a terminal, read both its outputs until it ends, and close it.

    What is beyond ``limit_bytes`` of an output is read and thrown away. Nothing is waited for but the process:
    background processes of its may hold the pipes for ever.
    """
    try:
        return _Capture(execution, stdin_data, limit_bytes).run(time.monotonic() + timeout_seconds)
    finally:
        execution.close()


class _Capture:
    def __init__(self, execution: Execution, stdin_data: bytes, limit_bytes: int) -> None:
        self._execution = execution
        self._input = memoryview(stdin_data)
        self._limit = limit_bytes
        self._outputs = {execution.stdout: bytearray(), execution.stderr: bytearray()}
        self._names = (execution.stdout, execution.stderr)
        self._truncated = False
        self._poller = select.poll()
        for descriptor in self._names:
            self._poller.register(descriptor, select.POLLIN)
        if self._input:
            self._poller.register(execution.stdin, select.POLLOUT)
        else:
            execution.close_stdin()

    def run(self, deadline: float) -> Captured:
        open_outputs = set(self._names)
        while (end := self._execution.end) is None and time.monotonic() < deadline:
            if not open_outputs:
                self._execution.wait(timeout_seconds=min(deadline - time.monotonic(), _LOOK_MS / 1000))
                continue
            self._serve(open_outputs, _LOOK_MS)
        if end is None:
            self._execution.kill()
            self._execution.wait(timeout_seconds=_KILL_SECONDS)
        while open_outputs and self._serve(open_outputs, 0):  # what is in the pipes
            if time.monotonic() > deadline + _KILL_SECONDS:  # a background process that writes for ever
                break
        stdout, stderr = (bytes(self._outputs[name]) for name in self._names)
        return Captured(end=end, stdout=stdout, stderr=stderr, truncated=self._truncated)

    def _serve(self, open_outputs: set[int], wait_ms: int) -> bool:
        """Move what can be moved; False when nothing could."""
        ready = self._poller.poll(wait_ms)
        for descriptor, _ in ready:
            if descriptor == self._execution.stdin:
                self._feed()
                continue
            data = os.read(descriptor, _READ_BYTES)
            if not data:
                self._poller.unregister(descriptor)
                open_outputs.discard(descriptor)
            output = self._outputs[descriptor]
            room = self._limit - len(output)
            self._truncated = self._truncated or len(data) > room
            output += data[:room]
        return bool(ready)

    def _feed(self) -> None:
        try:
            count = os.write(self._execution.stdin, self._input[:_WRITE_BYTES])
        except BrokenPipeError:
            count = len(self._input)
        self._input = self._input[count:]
        if not self._input:
            self._poller.unregister(self._execution.stdin)
            self._execution.close_stdin()
