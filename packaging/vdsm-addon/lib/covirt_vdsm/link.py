# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The one connection to virtocid that a process has: opened again by itself, and never in anybody's way."""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, Final, Optional, TypeVar

import libvirt

from covirt_vdsm import errors
from covirt_vdsm.calls import Calls, Pending
from covirt_vdsm.domains import ContainerDomain
from covirt_vdsm.events import Events
from covirt_vdsm.settings import Settings

Answer = TypeVar("Answer")

log = logging.getLogger("covirt.vdsm")

# A daemon that is silent for three times as long is given up.
_KEEPALIVE_SECONDS: Final = 5
_KEEPALIVE_COUNT: Final = 2
_RETRY_SECONDS: Final = 1.0
_JOIN_SECONDS: Final = 2.0


class Link:
    """Connects in a thread of its own. Everybody else finds a connection, or is told at once that there is none."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.events = Events(self)
        self._calls = Calls()
        self._lock = threading.Lock()
        self._connection: Optional[Any] = None
        self._generation = 0
        self._domains: dict[str, ContainerDomain] = {}
        self._listed = False  # Vdsm has looked at what there is, which it does once
        self._shown: set[str] = set()
        self._tried = threading.Event()
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="covirt-link", daemon=True)

    def start(self) -> None:
        self.events.start()
        self._thread.start()

    def stop(self) -> None:
        """Bounded: a thread that is stuck in a stuck daemon is left to its end with the process."""
        self._closed = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)
        self.events.stop()

    def wait_until_tried(self) -> None:
        """Until the first attempt has come to an end; for a short time at most, and once: Vdsm lists once."""
        self._tried.wait(self.settings.answer_seconds)
        self._tried.set()

    def current(self) -> tuple[Any, int]:
        """The connection, and a number that is another one after each loss. Raises errors.away()."""
        with self._lock:
            if self._connection is None:
                raise errors.away()
            return self._connection, self._generation

    def begin(self, call: Callable[[Any], Answer]) -> Pending[Answer]:
        """Begin a call that gets the connection. Raises errors.away()."""
        connection, _generation = self.current()
        return self._calls.begin(lambda: call(connection))

    def ask(self, call: Callable[[Any], Answer], *, seconds: Optional[float] = None) -> Answer:
        """A call that is given up in time. Raises errors.away(), and libvirt's errors."""
        return self.begin(call).result(seconds or self.settings.answer_seconds)

    def check(self) -> None:
        """Raises errors.away() when a call would be stuck, or has no connection."""
        self.current()
        self._calls.check()

    def domain(self, uuid: str, name: str) -> ContainerDomain:
        """The one object that stands for a container, over all connections."""
        with self._lock:
            return self._domains.setdefault(uuid, ContainerDomain(self, uuid, name))

    def adopt(self, found: Any) -> ContainerDomain:
        """The same, for a domain that libvirt gave and Vdsm is given now."""
        domain = self.domain(found.UUIDString(), found.name())
        with self._lock:
            self._shown.add(domain.UUIDString())
        return domain

    def listed(self, *, all_shown: bool) -> None:
        """Vdsm has looked at everything. What it was not given is news from here on.

        Without the containers, a new connection tells of them: as soon as virtocid answers, and not before.
        """
        with self._lock:
            self._listed = True
            if not all_shown:
                self._shown.clear()
                if self._connection is not None:
                    self._wake.set()

    def is_news(self, uuid: str) -> bool:
        with self._lock:
            return self._listed and uuid not in self._shown

    def known(self, uuid: str) -> Optional[ContainerDomain]:
        with self._lock:
            return self._domains.get(uuid)

    def named(self, name: str) -> Optional[ContainerDomain]:
        with self._lock:
            return next((domain for domain in self._domains.values() if domain.name() == name), None)

    def forget(self, uuid: str) -> None:
        with self._lock:
            self._domains.pop(uuid, None)
            self._shown.discard(uuid)

    def _run(self) -> None:
        told = ""
        while not self._closed:
            self._wake.clear()
            try:
                self._connect()
                told = ""
            except libvirt.libvirtError as error:
                if str(error) != told:  # once, and not each second
                    told = str(error)
                    log.warning("Containers are not available: %s is not reached: %s", self.settings.uri, error)
                self._tried.set()
                self._wake.wait(_RETRY_SECONDS)
                continue
            self._tried.set()
            self._wake.wait()
            self._drop()
        self._drop()

    def _connect(self) -> None:
        connection = libvirt.open(self.settings.uri)
        generation = self._generation + 1
        try:
            connection.registerCloseCallback(self._lost, generation)
            with contextlib.suppress(libvirt.libvirtError):  # without an event loop, as in a small tool
                connection.setKeepAlive(_KEEPALIVE_SECONDS, _KEEPALIVE_COUNT)
            self.events.register(connection)
            found = connection.listAllDomains(0)
            states = {domain.UUIDString(): (domain.name(), tuple(domain.state(0))) for domain in found}
        except libvirt.libvirtError:
            _close(connection)
            raise
        with self._lock:
            self._connection, self._generation = connection, generation
        log.info("Containers are available: uri=%s containers=%d", self.settings.uri, len(states))
        self.events.connected(states)

    def _lost(self, _connection: Any, reason: int, generation: int) -> None:
        """From libvirt's event loop."""
        if generation >= self._generation:
            log.warning("The connection to virtocid is lost: uri=%s reason=%d", self.settings.uri, reason)
            self._wake.set()

    def _drop(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(libvirt.libvirtError):
                connection.unregisterCloseCallback()
            _close(connection)


def _close(connection: Any) -> None:
    with contextlib.suppress(libvirt.libvirtError):
        connection.close()
