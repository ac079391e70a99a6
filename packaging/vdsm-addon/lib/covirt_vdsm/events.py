# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events of containers, told to Vdsm in their order by a thread of their own, so that they delay no machine's.

What happened while virtocid was away is found by comparing states, and told as the events that were missed. An end
after which virtocid starts the container again is told as a reboot: Vdsm would clear away what is about to run.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Optional

import libvirt

from covirt_vdsm import dialect
from covirt_vdsm.domains import ContainerDomain

if TYPE_CHECKING:
    from covirt_vdsm.link import Link

log = logging.getLogger("covirt.vdsm")

_LIFECYCLE: Final = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
_REBOOT: Final = libvirt.VIR_DOMAIN_EVENT_ID_REBOOT
# All that Vdsm subscribes to.
_HEARD: Final = (
    _LIFECYCLE,
    _REBOOT,
    libvirt.VIR_DOMAIN_EVENT_ID_RTC_CHANGE,
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
    libvirt.VIR_DOMAIN_EVENT_ID_GRAPHICS,
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
    libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG,
    libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD,
    libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
)
_JOIN_SECONDS: Final = 2.0
_STATE_AFTER: Final = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: libvirt.VIR_DOMAIN_RUNNING,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: libvirt.VIR_DOMAIN_RUNNING,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: libvirt.VIR_DOMAIN_PAUSED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: libvirt.VIR_DOMAIN_SHUTOFF,
}
_STOPPED_DETAIL: Final = {
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN,
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED,
    libvirt.VIR_DOMAIN_SHUTOFF_CRASHED: libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED,
}
_DOWN: Final = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED)
_UNKNOWN: Final = libvirt.VIR_DOMAIN_NOSTATE
_UP: Final = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_PAUSED)

State = tuple[int, int]
Callback = Callable[..., Any]


@dataclass(frozen=True)
class _Subscriber:
    connection: Any  # what the callback gets as its first argument
    uuid: Optional[str]  # of one container only
    event: int
    callback: Callback
    opaque: Any


class Events:
    """Subscribers stay over all connections."""

    def __init__(self, link: "Link") -> None:
        self._link = link
        self._lock = threading.Lock()
        self._subscribers: dict[int, _Subscriber] = {}
        self._next = 1
        self._queue: queue.SimpleQueue[Optional[Callable[[], None]]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="covirt-events", daemon=True)
        # The rest belongs to the thread alone.
        self._states: dict[str, int] = {}
        self._fresh: set[str] = set()  # of which an event of the present connection has told the state
        self._ending: dict[str, tuple[Any, ...]] = {}  # SHUTDOWN events that wait for their STOPPED

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._queue.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)

    def subscribe(self, connection: Any, domain: Any, event: int, callback: Callback, opaque: Any) -> int:
        """Like domainEventRegisterAny; the number is for ``unsubscribe``."""
        uuid = None if domain is None else domain.UUIDString()
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._subscribers[number] = _Subscriber(connection, uuid, event, callback, opaque)
        return number

    def unsubscribe(self, number: int) -> None:
        with self._lock:
            self._subscribers.pop(number, None)

    def register(self, connection: Any) -> None:
        """On a new connection: whatever Vdsm may want to hear, for it subscribes while this goes on."""
        self._queue.put(self._fresh.clear)
        for event in _HEARD:
            self._hear(connection, event)

    def connected(self, states: Mapping[str, tuple[str, State]]) -> None:
        """What there is on a new connection, asked after ``register``: name, state and reason by UUID."""
        self._queue.put(lambda: self._compare(states))

    def _hear(self, connection: Any, event: int) -> None:
        try:
            connection.domainEventRegisterAny(None, event, self._heard, event)
        except libvirt.libvirtError as error:
            if event == _LIFECYCLE:
                raise
            log.debug("virtocid has no event %d: %s", event, error)

    def _heard(self, _connection: Any, found: Any, *rest: Any) -> None:
        """From libvirt's event loop, where nobody may wait."""
        event, arguments = rest[-1], rest[:-1]
        domain = self._link.domain(found.UUIDString(), found.name())
        self._queue.put(lambda: self._handle(domain, event, arguments))

    def _run(self) -> None:
        while True:
            step = self._queue.get()
            if step is None:
                return
            try:
                step()
            except Exception:  # the top of a thread that has to go on
                log.exception("An event of a container was lost")

    def _handle(self, domain: ContainerDomain, event: int, arguments: tuple[Any, ...]) -> None:
        if event != _LIFECYCLE:
            self._tell(domain, event, arguments)
            return
        uuid, kind = domain.UUIDString(), arguments[0]
        if kind in _STATE_AFTER:
            self._states[uuid] = _STATE_AFTER[kind]
            self._fresh.add(uuid)
        if kind == libvirt.VIR_DOMAIN_EVENT_SHUTDOWN:
            self._ending[uuid] = arguments
            return
        shutdown = self._ending.pop(uuid, None)
        if kind == libvirt.VIR_DOMAIN_EVENT_STOPPED and self._starts_again(domain):
            log.info("The container has ended, and virtocid starts it again: domain=%s", domain.name())
            self._tell(domain, _REBOOT, ())
            return
        if shutdown is not None:
            self._tell(domain, _LIFECYCLE, shutdown)
        self._tell(domain, _LIFECYCLE, arguments)
        if kind == libvirt.VIR_DOMAIN_EVENT_UNDEFINED:
            self._states.pop(uuid, None)
            self._link.forget(uuid)

    def _starts_again(self, domain: ContainerDomain) -> bool:
        """Whether virtocid wrote down a time for it, which it does before it tells the end."""
        try:
            cause = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, dialect.STOP_CAUSE_NAMESPACE, 0)
            return bool(dialect.read(cause).get("restartsAt"))
        except (libvirt.libvirtError, ValueError):  # no cause, no container, or no virtocid: an end like any other
            return False

    def _compare(self, states: Mapping[str, tuple[str, State]]) -> None:
        """An event that was heard meanwhile counts more: the list may be from before it."""
        for uuid in self._states.keys() - states.keys() - self._fresh:
            known = self._link.known(uuid)
            if known is not None and self._states[uuid] in _UP:
                self._missed(known, libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED)
            self._states.pop(uuid)
            self._link.forget(uuid)
        for uuid in states.keys() - self._fresh:
            name, (state, reason) = states[uuid]
            before = self._states.get(uuid, _UNKNOWN)
            self._states[uuid] = state
            if state != before or self._link.is_news(uuid):
                self._changed(self._link.domain(uuid, name), before, state, reason)

    def _changed(self, domain: ContainerDomain, before: int, state: int, reason: int) -> None:
        if state in _DOWN:
            if before in _UP:
                self._stopped(domain, reason)
        elif self._link.is_news(domain.UUIDString()):  # Vdsm looks for what it hears of and does not know
            self._missed(domain, libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED)
        elif state == libvirt.VIR_DOMAIN_PAUSED and before == libvirt.VIR_DOMAIN_RUNNING:
            self._missed(domain, libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
        elif before == libvirt.VIR_DOMAIN_PAUSED:
            self._missed(domain, libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)

    def _stopped(self, domain: ContainerDomain, reason: int) -> None:
        if reason == libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN:
            by_itself = libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST
            self._missed(domain, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, by_itself)
        detail = _STOPPED_DETAIL.get(reason, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED)
        self._missed(domain, libvirt.VIR_DOMAIN_EVENT_STOPPED, detail)

    def _missed(self, domain: ContainerDomain, kind: int, detail: int) -> None:
        log.info("An event was missed: domain=%s event=%d detail=%d", domain.name(), kind, detail)
        self._handle(domain, _LIFECYCLE, (kind, detail))

    def _tell(self, domain: ContainerDomain, event: int, arguments: tuple[Any, ...]) -> None:
        with self._lock:
            subscribers = list(self._subscribers.values())
        for subscriber in subscribers:
            if subscriber.event == event and subscriber.uuid in (None, domain.UUIDString()):
                try:
                    subscriber.callback(subscriber.connection, domain, *arguments, subscriber.opaque)
                except Exception:  # Vdsm's own mistakes are its own
                    log.exception("A listener failed: domain=%s event=%d", domain.name(), event)
