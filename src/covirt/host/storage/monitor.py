# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whether storage domains answer: each is looked at in a thread of its own, which may hang without harm."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from covirt.common.errors import Error
from covirt.host.storage.file_domain import Space
from covirt.host.storage.storage_errors import StorageDomainSilent

log = logging.getLogger(__name__)

_UNKNOWN_VERSION: Final = -1
_ENDS_SECONDS: Final = 5.0  # a thread that storage holds longer is left behind

# Told when a domain was found well or not for the first time, and whenever that changes: (domain id, whether well).
# Called one after the other in one thread; it should not wait for storage.
HealthListener = Callable[[str, bool], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at a domain found."""

    space: Space
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """``error`` None: the domain is well. ``checked_at``: of the monotonic clock. ``is_actual``: looked at anew."""

    error: BaseException | None
    delay_seconds: float
    checked_at: float
    space: Space | None = None
    version: int = _UNKNOWN_VERSION
    is_actual: bool = True


class _Watch:
    """One domain: its thread looks, tells, and waits."""

    def __init__(self, domain_id: str, monitor: "StorageMonitor") -> None:
        self.domain_id = domain_id
        self.began_at: float | None = None  # of the look that is under way
        self._monitor = monitor
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"storage-{domain_id}", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.began_at = time.monotonic()
            health = self._look(self.began_at)
            self.began_at = None
            self._monitor.found(self, health)
            self._stopping.wait(self._monitor.period_seconds)

    def _look(self, began_at: float) -> Health:
        try:
            look = self._monitor.look(self.domain_id)
        except Exception as error:  # the top of a thread
            if not isinstance(error, Error | OSError):
                log.exception("A look at a storage domain failed domain=%s", self.domain_id)
            now = time.monotonic()
            return Health(error=error, delay_seconds=now - began_at, checked_at=now)
        now = time.monotonic()
        delay = now - began_at
        return Health(error=None, delay_seconds=delay, checked_at=now, space=look.space, version=look.version)


class StorageMonitor:
    """Watches the domains it is told to. ``look`` may hang, and raises what is wrong."""

    def __init__(self, *, look: Callable[[str], Look], period_seconds: float, timeout_seconds: float) -> None:
        self.look = look
        self.period_seconds = period_seconds
        self._timeout_seconds = timeout_seconds
        self._listeners: list[HealthListener] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._wanted: frozenset[str] = frozenset()
        self._watches: dict[str, _Watch] = {}
        self._health: dict[str, Health] = {}
        self._told: dict[str, bool] = {}
        self._thread = threading.Thread(target=self._tell, name="storage-monitor")

    def add_health_listener(self, listener: HealthListener) -> None:
        """Before start()."""
        self._listeners.append(listener)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.watch(())
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(_ENDS_SECONDS)

    def watch(self, domain_ids: Iterable[str]) -> None:
        """From now on these, and no others."""
        wanted = frozenset(domain_ids)
        with self._changed:
            self._wanted = wanted
            leaving = [self._watches.pop(domain_id) for domain_id in list(self._watches) if domain_id not in wanted]
            for watch in leaving:
                watch.stop()
                self._health.pop(watch.domain_id, None)
                self._told.pop(watch.domain_id, None)
            self._begin()
        for watch in leaving:
            if watch.began_at is None and watch.thread is not threading.current_thread():
                watch.thread.join(_ENDS_SECONDS)

    def _begin(self) -> None:
        """Watch what is to be watched and is not; where there can be no thread for it, the next pass tries again."""
        for domain_id in self._wanted - set(self._watches):
            try:
                self._watches[domain_id] = _Watch(domain_id, self)
            except RuntimeError as error:
                log.warning("A storage domain is not watched yet domain=%s: %s", domain_id, error)
                return

    def health(self) -> Mapping[str, Health]:
        """Of every domain that was looked at, or should have been."""
        now = time.monotonic()
        with self._changed:
            silent = {domain_id: self._silence(watch, now) for domain_id, watch in self._watches.items()}
            return {**self._health, **{key: health for key, health in silent.items() if health is not None}}

    def found(self, watch: _Watch, health: Health) -> None:
        """A watch's thread tells."""
        with self._changed:
            if self._watches.get(watch.domain_id) is watch:
                self._health[watch.domain_id] = health
                self._changed.notify()

    def _silence(self, watch: _Watch, now: float) -> Health | None:
        began_at = watch.began_at
        if began_at is None or now - began_at <= self._timeout_seconds:
            return None
        error = StorageDomainSilent(where=watch.domain_id, seconds=self._timeout_seconds)
        return Health(error=error, delay_seconds=now - began_at, checked_at=now, is_actual=False)

    def _tell(self) -> None:
        """Look for news whenever there is a finding, and often enough to notice that there is none."""
        wait_seconds = min(1.0, self._timeout_seconds / 4)
        while True:
            with self._changed:
                self._changed.wait(wait_seconds)
                if self._stopping:
                    return
                self._begin()
            for domain_id, health in self.health().items():
                well = health.error is None
                if self._is_news(domain_id, well=well):
                    self._log(domain_id, health)
                    self._call_listeners(domain_id, well=well)

    def _is_news(self, domain_id: str, *, well: bool) -> bool:
        with self._changed:
            if domain_id not in self._watches or self._told.get(domain_id) is well:
                return False
            self._told[domain_id] = well
            return True

    @staticmethod
    def _log(domain_id: str, health: Health) -> None:
        if health.error is None:
            log.info("Storage domain is well domain=%s delay_ms=%.1f", domain_id, health.delay_seconds * 1000)
        else:
            log.error("Storage domain does not answer domain=%s: %s", domain_id, health.error)

    def _call_listeners(self, domain_id: str, *, well: bool) -> None:
        for listener in self._listeners:
            try:
                listener(domain_id, well)
            except Exception:  # one listener's failure is no other's
                log.exception("A listener to storage failed domain=%s", domain_id)
