# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Warnings that clients can cause at will, a bounded number of lines a minute: anybody may connect, often."""

import logging
import time
from collections.abc import Callable
from typing import Final

_WINDOW_SECONDS: Final = 60.0
_LINES: Final = 20


class Complaints:
    """Lives in the event loop."""

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._window_end = 0.0
        self._lines = 0

    def warning(self, message: str, *args: object) -> None:
        """Log the warning, or count it: how many were left out is told with the first of the next minute."""
        now = self._clock()
        if now >= self._window_end:
            if self._lines > _LINES:
                self._log.warning("Warnings about clients were left out count=%d", self._lines - _LINES)
            self._window_end = now + _WINDOW_SECONDS
            self._lines = 0
        self._lines += 1
        if self._lines <= _LINES:
            self._log.warning(message, *args)
