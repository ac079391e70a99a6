# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps one host up to date: asks it every few seconds and whenever it tells an event, in a thread of its own, so
that a host that hangs costs the others nothing.

An event is only a reason to ask: what counts is what the host says when it is asked, because events may come late, or
not at all.
"""

import logging
import random
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from covirt.common.errors import Error
from covirt.engine.hosts.config import HostsConfig
from covirt.engine.hosts.connections import HostConnection, HostListener, Preparation
from covirt.engine.hosts.errors import BadAnswer, HostRefused, HostUncertain, HostUnreachable
from covirt.engine.hosts.fitness import unfitness
from covirt.engine.hosts.guests import Settled, forgotten, settle, tell_twice, write_reports
from covirt.engine.hosts.records import Answers, held_host, write_answers, write_silence
from covirt.engine.hosts.states import RESTING
from covirt.engine.hosts.vm_report import VmReport, reports
from covirt.engine.model.host import Host, HostStatus
from covirt.engine.store.store import Store
from covirt.hostapi.errors import Code
from covirt.rpc.client import ClientSettings
from covirt.rpc.jsonrpc import Json

log = logging.getLogger(__name__)

_VM_EVENTS: Final = "|virt|"  # topics of guests; the last word is the guest's id
_AGAIN_SECONDS: Final = 1.0  # until a guest that a command works on is looked at again, and a host that starts
_CALL_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 40.0
_MOST_HINTS: Final = 8  # of guests that are asked for one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchParts:
    """What all watches share. ``listeners`` and ``preparations`` may grow."""

    store: Store
    config: HostsConfig
    tls: ssl.SSLContext | None
    listeners: Sequence[HostListener]
    preparations: Sequence[Preparation]
    settings: ClientSettings = field(default_factory=ClientSettings)


class _Request:
    """Somebody waits for the next poll."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: Error | None = None


class HostWatch:
    """From start() to stop(). ``place``: where the host is, as it was when the watch was made."""

    def __init__(self, host: Host, parts: WatchParts) -> None:
        self.host_id = host.id
        self.place = (host.address, host.port)
        self._parts = parts
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._hints: set[str] = set()
        self._requests: list[_Request] = []
        self._prepared = False  # since the connection was made
        self._twice: set[str] = set()
        self._hardware: Mapping[str, Json] = {}
        self._heard = self._connected_at = time.monotonic()
        self._next_poll = self._next_capabilities = 0.0
        self.connection = HostConnection(
            host.name,
            host.address,
            host.port,
            tls=parts.tls,
            on_state=self._connected,
            on_event=self._event,
            settings=parts.settings,
        )
        self._thread = threading.Thread(target=self._run, name=f"host-watch-{host.id[:8]}", daemon=True)

    @property
    def name(self) -> str:
        return self.connection.name

    def start(self) -> None:
        self.connection.start()
        self._thread.start()

    def stop(self) -> None:
        """A poll under way is cut short."""
        self._stopping.set()
        self._woken.set()
        self.connection.stop()
        self._thread.join(_STOP_SECONDS)
        self._answer_requests(HostUnreachable(host=self.name, verb="a poll", reason="it is watched no more"))

    def wake(self) -> None:
        """Poll now."""
        self._next_poll = 0.0
        self._woken.set()

    def prepare_again(self) -> None:
        """With a poll now."""
        self._prepared = False
        self.wake()

    def refresh(self, timeout_seconds: float) -> None:
        """Poll now for everything, and wait for it. Raises as Hosts.refresh."""
        request = _Request()
        with self._lock:
            self._requests.append(request)
        self._next_capabilities = 0.0
        self.wake()
        if not request.done.wait(timeout_seconds):
            raise HostUncertain(host=self.name, verb="a poll", reason=f"it takes more than {timeout_seconds:g} s")
        if request.error is not None:
            raise request.error

    # Called by the connection's thread.

    def _connected(self, connected: bool) -> None:  # noqa: FBT001 - the connection's listener
        if connected:
            self._prepared = False
            self._next_capabilities = 0.0
            self._connected_at = time.monotonic()
        self.wake()

    def _event(self, topic: str, params: Mapping[str, Json]) -> None:
        if topic.startswith(_VM_EVENTS):
            with self._lock:
                self._hints.add(topic.rpartition("|")[2].lower())
            self._woken.set()
        for listener in tuple(self._parts.listeners):
            try:
                listener(self.host_id, topic, params)
            except Error as error:
                log.warning("An event is lost on a listener host=%s topic=%s reason=%s", self.name, topic, error)

    # The thread.

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except Error as error:  # the database's
                log.warning("A host cannot be looked after now host=%s reason=%s", self.name, error)
                self._answer_requests(error)
            except Exception:  # the top of a thread: there is a next poll
                log.exception("Looking after a host failed host=%s", self.name)
            left = self._next_poll - time.monotonic()
            with self._lock:
                wait_seconds = min(left, _AGAIN_SECONDS) if self._hints else left
            self._woken.wait(max(0.05, wait_seconds))
            self._woken.clear()

    def _turn(self) -> None:
        with self._lock:
            hints, self._hints = self._hints, set()
        due = time.monotonic() >= self._next_poll
        if due or len(hints) > _MOST_HINTS:
            # Not all hosts in the same moment.
            period = self._parts.config.poll_seconds * random.uniform(0.9, 1.0)  # noqa: S311 - nothing secret
            self._next_poll = time.monotonic() + period
            self._poll()
        else:
            self._ask_after(hints)

    def _poll(self) -> None:
        with self._lock:
            waiting = len(self._requests)  # who comes later wants what the host says later
        try:
            answers = self._asked()
        except (HostUnreachable, HostUncertain, HostRefused, BadAnswer) as error:
            self._silent(error)
            if isinstance(error, HostRefused) and error.code == Code.RECOVERING:  # its agent has just started
                self._next_poll = min(self._next_poll, time.monotonic() + _AGAIN_SECONDS)
            self._answer_requests(error, waiting)
            return
        self._heard = time.monotonic()
        self._answered(answers)
        self._answer_requests(None, waiting)

    def _asked(self) -> Answers:
        """Raises as call does, and BadAnswer."""
        capabilities = None
        if time.monotonic() >= self._next_capabilities:
            # Before they are asked for: a refresh that comes meanwhile wants them once more.
            self._next_capabilities = time.monotonic() + self._parts.config.capabilities_seconds
            try:
                capabilities = self._document("Host.getCapabilities")
                self._hardware = self._document("Host.getHardwareInfo")
            except Error:
                self._next_capabilities = 0.0
                raise
        return Answers(
            capabilities=capabilities,
            hardware=self._hardware,
            statistics=self._document("Host.getStats"),
            guests=reports(self._call("Host.getAllVmStats")),
        )

    def _answered(self, answers: Answers) -> None:
        obstacle = self._obstacle(answers)
        with self._parts.store.write() as session:
            host = held_host(session, self.host_id)
            if host is None:
                return
            doubts = write_answers(session, host, answers, obstacle=obstacle, now=_now())
        self._settle(host, doubts.now)
        self._remember(doubts.later)

    def _obstacle(self, answers: Answers) -> str:
        """Why the host cannot work; prepares it if it can."""
        with self._parts.store.read() as session:
            host = session.hosts.find(id=self.host_id)
            if host is None or host.facts.status in RESTING:
                return ""
            cluster = session.clusters.get(host.cluster_id)
            features = session.cluster_features.where_in("id", cluster.features)
        reason = unfitness(answers.facts(host.facts), cluster, features)
        if reason:
            self._prepared = False
            self._look_again()
            return reason
        if host.facts.status is HostStatus.PREPARING_FOR_MAINTENANCE:
            return ""
        if self._prepared and host.facts.status is HostStatus.UP:
            return ""
        self._prepared = True  # unless the connection is lost meanwhile
        for preparation in tuple(self._parts.preparations):
            try:
                preparation(self.host_id)
            except Error as error:
                self._prepared = False
                return str(error)
        return ""

    def _look_again(self) -> None:
        """At what the host is, with the next poll, which comes soon after it was connected: an agent that has just
        started may not have reached libvirtd or virtocid yet."""
        self._next_capabilities = 0.0
        now = time.monotonic()
        if now - self._connected_at < self._parts.config.grace_seconds:
            self._next_poll = min(self._next_poll, now + _AGAIN_SECONDS)

    def _silent(self, error: Error) -> None:
        silent_seconds = time.monotonic() - self._heard
        reason = self.connection.obstacle or str(error.fields.get("reason", error))
        grace_seconds = self._parts.config.grace_seconds
        with self._parts.store.write() as session:
            host = held_host(session, self.host_id)
            if host is None:
                return
            status = write_silence(
                session, host, reason=reason, silent_seconds=silent_seconds, grace_seconds=grace_seconds
            )
        if status is not HostStatus.NON_RESPONSIVE and silent_seconds < grace_seconds:
            # Not later than the end of the grace time.
            self._next_poll = min(self._next_poll, time.monotonic() + grace_seconds - silent_seconds + 0.05)

    # Guests.

    def _ask_after(self, vm_ids: set[str]) -> None:
        """What events have hinted at. A host that cannot be asked is the next poll's matter."""
        found = [report for vm_id in vm_ids if (report := self._report(vm_id)) is not None]
        gone = vm_ids - {report.vm_id for report in found}
        with self._parts.store.write() as session:
            host = held_host(session, self.host_id)
            if host is None or host.facts.status in RESTING:
                return
            doubts = write_reports(session, host, found, complete=False, now=_now())
        self._settle(host, doubts.now | gone)
        self._remember(doubts.later)

    def _settle(self, host: Host, vm_ids: frozenset[str] | set[str]) -> None:
        for vm_id in sorted(vm_ids):
            try:
                self._settle_one(host, vm_id)
            except (HostUnreachable, HostUncertain, HostRefused, BadAnswer) as error:
                log.info("A guest is asked after later host=%s vm=%s reason=%s", host.name, vm_id, error)

    def _settle_one(self, host: Host, vm_id: str) -> None:
        report = self._report(vm_id)
        with self._parts.store.write() as session:
            settled = settle(session, host, vm_id, report, now=_now())
        if settled is Settled.LATER:
            self._remember({vm_id})
        elif settled is Settled.FORGET:
            self._forget(host, vm_id)
        if settled is not Settled.TWICE:
            self._twice.discard(vm_id)
        elif vm_id not in self._twice:
            self._twice.add(vm_id)
            log.error("A guest runs on two hosts vm=%s host=%s", vm_id, host.name)
            with self._parts.store.write() as session:
                tell_twice(session, host, vm_id)

    def _forget(self, host: Host, vm_id: str) -> None:
        """It is down there, and nobody can have started it since: a host that still tells of its end has it."""
        try:
            self._call("VM.destroy", {"vmID": vm_id})
        except HostRefused as error:
            if error.code != Code.NO_SUCH_VM:
                raise
        with self._parts.store.write() as session:
            forgotten(session, host, vm_id, now=_now())

    def _report(self, vm_id: str) -> VmReport | None:
        """None: the host does not know it."""
        try:
            found = reports(self._call("VM.getStats", {"vmID": vm_id}))
        except HostRefused as error:
            if error.code == Code.NO_SUCH_VM:
                return None
            raise
        if not found or found[0].vm_id != vm_id:
            raise BadAnswer(host=self.name, verb="VM.getStats", reason="it is about another guest")
        return found[0]

    def _remember(self, vm_ids: frozenset[str] | set[str]) -> None:
        with self._lock:
            self._hints |= vm_ids

    # Calls.

    def _call(self, verb: str, params: Mapping[str, Json] | None = None) -> Json:
        return self.connection.call(verb, params, timeout_seconds=_CALL_SECONDS)

    def _document(self, verb: str) -> Mapping[str, Json]:
        answer = self._call(verb)
        if not isinstance(answer, Mapping):
            raise BadAnswer(host=self.name, verb=verb, reason="it is no object")
        return answer

    def _answer_requests(self, error: Error | None, count: int | None = None) -> None:
        """``count``: the first ones only."""
        with self._lock:
            requests = self._requests[:count]
            del self._requests[:count]
        for request in requests:
            request.error = error
            request.done.set()


def _now() -> datetime:
    return datetime.now(UTC)
