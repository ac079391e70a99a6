# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Calls that are given up when they take too long, and are not made while an earlier one is still stuck."""

import threading
import time
from collections.abc import Callable
from typing import Generic, Optional, TypeVar

import libvirt

from covirt_vdsm import errors

Answer = TypeVar("Answer")


class Pending(Generic[Answer]):
    """A call on its way, in a thread of its own."""

    def __init__(self, calls: "Calls", call: Callable[[], Answer]) -> None:
        self._calls = calls
        self._call = call
        self._done = threading.Event()
        self._answer: Optional[Answer] = None
        self._error: Optional[BaseException] = None
        self._given_up = False
        self._started = time.monotonic()
        # A call into a stuck daemon ends with the connection at the latest; nobody waits for it.
        threading.Thread(target=self._run, name="covirt-call", daemon=True).start()

    def _run(self) -> None:
        try:
            self._answer = self._call()
        except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
            self._error = error
        with self._calls.lock:
            self._done.set()
            if self._given_up:
                self._calls.stuck -= 1

    def result(self, seconds: float) -> Answer:
        """The answer within so long from the call's beginning. Raises what it raised, or errors.away()."""
        self._done.wait(max(0.0, self._started + seconds - time.monotonic()))
        with self._calls.lock:
            if not self._done.is_set():
                self._given_up = True
                self._calls.stuck += 1
                raise errors.away()
        if self._error is None:
            return self._answer  # type: ignore[return-value]  # there is one when there is no error
        if isinstance(self._error, libvirt.libvirtError) and errors.means_broken(self._error):
            raise errors.away() from self._error
        raise self._error


class Calls:
    """Knows whether a call is stuck."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.stuck = 0

    def begin(self, call: Callable[[], Answer]) -> Pending[Answer]:
        """Raises errors.away() at once while an earlier call is stuck."""
        self.check()
        try:
            return Pending(self, call)
        except RuntimeError as error:  # no more threads: machines do without containers
            raise errors.away() from error

    def check(self) -> None:
        """Raises errors.away() while a call is stuck."""
        with self.lock:
            if self.stuck:
                raise errors.away()
