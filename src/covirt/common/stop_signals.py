# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How a daemon is told to end."""

import os
import signal

from covirt.common.readable import readable_within


class StopSignals:
    """SIGTERM and SIGINT, for the main thread to wait for.

    By way of a pipe that the interpreter's own handler writes to: a Python handler runs in between instructions only,
    so one that sets an Event may find its lock held by the wait it interrupts, or come after the wait has begun.
    """

    def __init__(self) -> None:
        self._read_end, write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def wait(self, *, timeout_seconds: float | None = None) -> bool:
        """Return once one has come, at once when it came before, or when time is up; whether one has come."""
        if timeout_seconds is not None and not readable_within(self._read_end, timeout_seconds):
            return False
        os.read(self._read_end, 1)
        return True
