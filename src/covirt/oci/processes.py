# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that are not our children: told apart after a restart, and watched to their end without polling.

A pid alone is not an identity, because the kernel uses it again; a pid with its start time is one within a boot.
"""

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

log = logging.getLogger(__name__)

_STAT_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """A process of this boot. ``start_time``: clock ticks since boot (proc(5), field 22 of /proc/PID/stat)."""

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """Raises ProcessLookupError when there is no such process."""
        return cls(pid=pid, start_time=process_start_time(pid))


def process_start_time(pid: int) -> int:
    """Raises ProcessLookupError when there is no such process. A zombie still has its start time."""
    return int(_stat_fields(pid)[19])


def alive(pid: int, start_time: int) -> bool:
    """Tell whether this very process still runs; a zombie has ended."""
    try:
        fields = _stat_fields(pid)
    except ProcessLookupError:
        return False
    return int(fields[19]) == start_time and fields[0] not in (b"Z", b"X")


def _stat_fields(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the third on: the second, in parentheses, may hold anything."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(descriptor, _STAT_LIMIT)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise ProcessLookupError(f"there is no process {pid}") from error
    return text[text.rindex(b")") + 2 :].split()


def open_pidfd(pid: int, start_time: int) -> int | None:
    """A descriptor that becomes readable when this very process ends; None when it has ended already."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    # Checked after opening: from here on the descriptor cannot come to mean another process.
    if alive(pid, start_time):
        return descriptor
    os.close(descriptor)
    return None


class ExitWatcher:
    """One thread that waits for the ends of any number of processes and calls back once for each."""

    def __init__(self, *, name: str = "covirt-exits") -> None:
        self._lock = threading.Lock()
        self._watched: dict[Hashable, tuple[int, Callable[[Hashable], object]]] = {}
        self._keys: dict[int, Hashable] = {}
        self._ended: list[tuple[Hashable, Callable[[Hashable], object]]] = []
        self._stopping = False
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; no callback runs after this returns. Not to be called from a callback."""
        with self._lock:
            self._stopping = True
        os.eventfd_write(self._wake, 1)
        if self._thread.ident is not None:
            self._thread.join()
        with self._lock:
            for descriptor, _ in self._watched.values():
                os.close(descriptor)
            self._watched.clear()
            self._keys.clear()
        self._epoll.close()
        os.close(self._wake)

    def watch(self, key: Hashable, process: ProcessIdentity, callback: Callable[[Hashable], object]) -> None:
        """Call ``callback(key)`` from the watcher's thread once ``process`` has ended, also when it already has.

        A key in use is replaced. Nothing is asked of a runtime, so this is also how a run is adopted after a restart.
        """
        descriptor = open_pidfd(process.pid, process.start_time)
        with self._lock:
            self._forget(key)
            if descriptor is None:
                self._ended.append((key, callback))
            else:
                self._watched[key] = (descriptor, callback)
                self._keys[descriptor] = key
                self._epoll.register(descriptor, select.EPOLLIN)
        if descriptor is None:
            os.eventfd_write(self._wake, 1)

    def unwatch(self, key: Hashable) -> None:
        """Forget a process; unknown is fine. A callback that has begun is not stopped."""
        with self._lock:
            self._forget(key)
            self._ended = [entry for entry in self._ended if entry[0] != key]

    def _forget(self, key: Hashable) -> Callable[[Hashable], object] | None:
        entry = self._watched.pop(key, None)
        if entry is None:
            return None
        descriptor, callback = entry
        del self._keys[descriptor]
        self._epoll.unregister(descriptor)
        os.close(descriptor)
        return callback

    def _run(self) -> None:
        while True:
            events = self._epoll.poll()
            with self._lock:
                if self._stopping:
                    return
                due = self._collect([descriptor for descriptor, _ in events])
            for key, callback in due:
                try:
                    callback(key)
                except Exception:  # a thread top: one bad callback may not blind us to all other ends
                    log.exception("Exit callback failed key=%s", key)

    def _collect(self, descriptors: list[int]) -> list[tuple[Hashable, Callable[[Hashable], object]]]:
        """What to call for these readable descriptors. Runs under the lock."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        due, self._ended = self._ended, []
        for descriptor in descriptors:
            key = self._keys.get(descriptor)
            if key is None:
                continue  # the wake-up, or forgotten meanwhile
            callback = self._forget(key)
            if callback is not None:
                due.append((key, callback))
        return due
