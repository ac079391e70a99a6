# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All hosts: one watch for each that is not at rest, made and ended as the database says."""

import logging
import ssl
import threading
from collections.abc import Mapping
from typing import Final

from covirt.common.errors import Error
from covirt.common.log import current_flow
from covirt.engine.hosts.config import HostsConfig
from covirt.engine.hosts.connections import HostListener, Preparation
from covirt.engine.hosts.errors import HostRemoved, HostUnreachable
from covirt.engine.hosts.states import RESTING
from covirt.engine.hosts.watch import HostWatch, WatchParts
from covirt.engine.model.host import Host, HostStatus
from covirt.engine.store.store import Store
from covirt.rpc.client import ClientSettings
from covirt.rpc.jsonrpc import Json

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 30.0  # nobody has to say that something has changed, it is only slower
_REFRESH_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0


class HostManager:
    """Implements connections.Hosts. Listeners and preparations are added before start()."""

    def __init__(
        self,
        store: Store,
        config: HostsConfig,
        *,
        tls: ssl.SSLContext | None,
        settings: ClientSettings | None = None,
    ) -> None:
        self._store = store
        self._listeners: list[HostListener] = []
        self._preparations: list[Preparation] = []
        self._releases: list[Preparation] = []
        self._parts = WatchParts(
            store=store,
            config=config,
            tls=tls,
            listeners=self._listeners,
            preparations=self._preparations,
            settings=settings or ClientSettings(call_seconds=180.0),
        )
        self._lock = threading.Lock()
        self._watches: dict[str, HostWatch] = {}
        self._stops: list[threading.Thread] = []
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hosts", daemon=True)

    def start(self) -> None:
        """Does not wait for any host."""
        self._thread.start()

    def stop(self) -> None:
        """Guests and hosts go on."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        with self._lock:
            watches, self._watches = self._watches, {}
        for watch in watches.values():
            self._end(watch)
        for thread in self._stops:
            thread.join(_STOP_SECONDS)

    def call(
        self,
        host_id: str,
        verb: str,
        params: Mapping[str, Json] | None = None,
        *,
        flow_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Json:
        """As Hosts.call; the flow is the caller's own unless one is given."""
        connection = self._watch(host_id, verb).connection
        return connection.call(verb, params, flow_id=flow_id or current_flow(), timeout_seconds=timeout_seconds)

    def is_up(self, host_id: str) -> bool:
        if not self.is_connected(host_id):
            return False
        with self._store.read() as session:
            host = session.hosts.find(id=host_id)
        return host is not None and host.facts.status is HostStatus.UP

    def is_connected(self, host_id: str) -> bool:
        with self._lock:
            watch = self._watches.get(host_id)
        return watch is not None and watch.connection.is_connected

    def refresh(self, host_id: str) -> None:
        self._watch(host_id, "a poll").refresh(_REFRESH_SECONDS)

    def look(self) -> None:
        self._woken.set()

    def add_listener(self, listener: HostListener) -> None:
        self._listeners.append(listener)

    def add_preparation(self, preparation: Preparation) -> None:
        self._preparations.append(preparation)

    def add_release(self, release: Preparation) -> None:
        self._releases.append(release)

    def release(self, host_id: str) -> None:
        for release in reversed(self._releases):
            release(host_id)

    def prepare_again(self) -> None:
        with self._lock:
            watches = list(self._watches.values())
        for watch in watches:
            watch.prepare_again()

    def _watch(self, host_id: str, verb: str) -> HostWatch:
        """Raises HostUnreachable, HostRemoved."""
        with self._lock:
            watch = self._watches.get(host_id)
        if watch is not None:
            return watch
        with self._store.read() as session:
            host = session.hosts.find(id=host_id)
        if host is None:
            raise HostRemoved(host=host_id, verb=verb)
        reason = "it is not active" if host.facts.status in RESTING else "it is being connected"
        raise HostUnreachable(host=host.name, verb=verb, reason=reason)

    # The thread.

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except Error as error:
                log.warning("The list of hosts cannot be read, and will be tried again reason=%s", error)
            except Exception:  # the top of a thread: there is a next time
                log.exception("Following the list of hosts failed")
            self._woken.wait(_LOOK_SECONDS)
            self._woken.clear()

    def _follow(self) -> None:
        """A watch for each active host and for no other."""
        with self._store.read() as session:
            active = {host.id: host for host in session.hosts.list() if host.facts.status not in RESTING}
        self._stops = [thread for thread in self._stops if thread.is_alive()]
        for watch in list(self._watches.values()):
            host = active.get(watch.host_id)
            if host is None or (host.address, host.port) != watch.place:
                with self._lock:
                    del self._watches[watch.host_id]
                self._end(watch)
        for host in active.values():
            if host.id in self._watches:
                self._watches[host.id].connection.name = host.name
                if host.facts.status is HostStatus.UNASSIGNED:
                    self._watches[host.id].wake()
            else:
                self._begin(host)

    def _begin(self, host: Host) -> None:
        log.info("Watching host=%s address=%s port=%d", host.name, host.address, host.port)
        watch = HostWatch(host, self._parts)
        watch.start()
        with self._lock:
            self._watches[host.id] = watch

    def _end(self, watch: HostWatch) -> None:
        """In a thread, since one that is in the middle of a connection takes its time."""
        log.info("Watching no more host=%s", watch.name)
        thread = threading.Thread(target=watch.stop, name=f"host-stop-{watch.host_id[:8]}", daemon=True)
        thread.start()
        self._stops.append(thread)
