# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that are not our children, watched to their end without polling."""

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable, Hashable

from covirt.common.process_identity import ProcessIdentity, open_pidfd

log = logging.getLogger(__name__)


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
