# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses by DHCP: a client for each interface that asks, and what it hears made true in the container.

The client keeps the lease alive by itself, so that nothing changes while virtocid is away. One thread of ours starts
clients and reads their lease files; an address goes into the spoof filter, the container's network namespace, its
resolv.conf and its hosts. Nothing here is waited for: a container starts without an address and gets one later, as a
machine does, and its end waits for no server.

The files are looked at, not watched: the kernel gives a user 128 inotify instances, and conmon takes one for each
container on cgroup v2. A look is one stat.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

from covirt.common.dhcp_lease import BadLease, Lease, last_event, lease_of
from covirt.common.errors import Error
from covirt.common.files import make_directory
from covirt.common.process import Child
from covirt.common.process_identity import ProcessIdentity
from covirt.oci.bundle import namespaces_directory
from covirt.oci.dhcp_client import ClientRequest, EndingClient, end_client, find_clients, start_client
from covirt.oci.dhcp_room import ClientRoom
from covirt.oci.etc_files import hosts_text, resolv_conf_text, update_etc_file
from covirt.oci.lease_setup import LeaseSetup, set_up_lease
from covirt.oci.namespaces import namespaces_in
from covirt.oci.processes import ExitWatcher
from covirt.oci.supervisor import RunCgroup, Supervisor
from covirt.virtocid.driver.domain_xml.model import Interface
from covirt.virtocid.driver.leases import (
    Given,
    dhcp_interfaces,
    forget_given,
    given,
    lease_file,
    read_lease_file,
    record_given,
)
from covirt.virtocid.driver.network import HostNetwork, inside_name
from covirt.virtocid.driver.plan import host_name, host_nameservers, id_map
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.store import UserRequest

log = logging.getLogger(__name__)

_EAGER_SECONDS: Final = 20.0  # so long after its start, a client without a lease is looked at often
_EAGER_LOOK_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 5.0  # before a client that ended, or a lease that could not be set up, is tried again
_NEWCOMER_SECONDS: Final = 10.0  # so long may a client that follows another take to get the same lease again
_LOSS_SECONDS: Final = 0.3  # before a lease that was given up is taken away: its client may be about to end
_END_SECONDS: Final = 1.0  # what a client's end may take after the container's; it takes some 5 ms, and no server
_FIRST_METRIC: Final = 100  # of the routes of a lease: after those of the XML, and in the order of the interfaces
_RESTARTS: Final = (UserRequest.REBOOT, UserRequest.RESET)
_MOST_NAMESERVERS: Final = 3  # resolv.conf(5), MAXNS


class Addressing(Protocol):
    """What the rest of the driver asks for."""

    def start(self) -> None: ...

    def close(self) -> None:
        """Stop looking after leases. Clients go on."""

    def begin(self, run: Run) -> None:
        """Have every interface of a run that has just begun ask for its address; returns at once."""

    def adopt(self, runs: Iterable[Run]) -> None:
        """Look after the leases of runs that an earlier daemon began; returns at once."""

    def release(self, run: Run) -> None:
        """The run is over: give its leases back, unless it starts again at once. Waits for nobody; see forget()."""

    def forget(self, run: Run) -> None:
        """Before the interfaces go: let the clients that release() told end: some ms, and a second at most."""

    def attach(self, run: Run, number: int) -> None:
        """``run`` has a new interface: have it ask, if it is to, and tell /etc/hosts of its addresses."""

    def detach(self, run: Run, name: str) -> None:
        """``run`` no longer has the interface with this host end. To be called before that is unplugged."""

    def moved(self, run: Run) -> None:
        """An interface of the run may be on another bridge now: have it ask there."""


@dataclass(eq=False, slots=True)
class _Client:
    """One interface that asks. All but ``exited`` and ``moved`` changes with ``lock`` held."""

    run: Run
    number: int
    interface: Interface
    wanted_address: str | None = None
    adopted: bool = False  # an earlier daemon may have started it
    lock: threading.Lock = field(default_factory=threading.Lock)
    child: Child | None = None
    running: bool = False
    exited: bool = False  # set by the thread that watches for ends
    moved: bool = False  # to another network: its client was ended, so that the next one asks there
    over: bool = False
    started: float = 0.0
    lost: float | None = None  # when it was seen to have given its lease up
    due: float = 0.0  # when to look after it next
    seen: tuple[int, int] | None = None  # size and time of the lease file when it was read
    has: Given = field(default_factory=Given)
    told: str = ""

    @property
    def name(self) -> str:
        return self.interface.target or ""

    @property
    def inside(self) -> str:
        return inside_name(self.interface, self.number)

    @property
    def key(self) -> tuple[str, str]:
        return self.run.container_id, self.name


class DhcpAddressing:
    """The real thing. Thread-safe."""

    def __init__(self, run_dir: Path, *, supervisor: Supervisor, network: HostNetwork, watcher: ExitWatcher) -> None:
        self._supervisor = supervisor
        self._network = network
        self._watcher = watcher
        self._room = ClientRoom(run_dir / "dhcp-room")
        self._changed = threading.Condition()
        self._clients: dict[tuple[str, str], _Client] = {}
        self._runs: dict[str, Run] = {}  # as they are now, of those with clients
        self._ending: dict[str, list[tuple[_Client | None, EndingClient]]] = {}
        self._again: dict[tuple[UUID, str], str] = {}  # addresses of interfaces whose domain starts again
        self._etc = threading.Lock()
        self._stopping = False
        self._woken = False
        self._thread = threading.Thread(target=self._work, name="virtocid-dhcp", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self._room.close()

    def begin(self, run: Run) -> None:
        for number, interface in dhcp_interfaces(run):
            address = self._again.pop((run.uuid, interface.mac or ""), None)
            self._add(_Client(run=run, number=number, interface=interface, wanted_address=address))

    def adopt(self, runs: Iterable[Run]) -> None:
        for run in runs:
            for number, interface in dhcp_interfaces(run):
                self._add(_Client(run=run, number=number, interface=interface, adopted=True))

    def attach(self, run: Run, number: int) -> None:
        interface = run.config.interfaces[number]
        if run.config.asks_dhcp(interface):
            self._add(_Client(run=run, number=number, interface=interface))
        self._changed_to(run)

    def detach(self, run: Run, name: str) -> None:
        client = self._take(run, name)
        if client is not None:
            pid = find_clients(self._place(run)).get(client.inside)
            ending = None if pid is None else end_client(pid, client.inside, release=True)
            if ending is not None:
                ending.wait(_END_SECONDS)
            _reap(client)
            forget_given(run, name)
        self._changed_to(run)

    def moved(self, run: Run) -> None:
        with self._changed:
            before = self._runs.get(run.container_id)
            if before is None:
                return
            self._runs[run.container_id] = run
            places = dict(zip(before.interface_names, before.bridges, strict=False))
            there = zip(run.interface_names, run.bridges, strict=False)
            names = [name for name, bridge in there if places.get(name) != bridge]
            clients = [
                self._clients[run.container_id, name] for name in names if (run.container_id, name) in self._clients
            ]
        for client in clients:
            client.moved = True
            pid = find_clients(self._place(run)).get(client.inside)
            ending = None if pid is None else end_client(pid, client.inside, release=False)
            if ending is not None:
                ending.wait(_END_SECONDS)

    def release(self, run: Run) -> None:
        self._runs.pop(run.container_id, None)
        interfaces = [interface for _, interface in dhcp_interfaces(run)]
        if not interfaces:
            return
        restarts = run.request in _RESTARTS
        clients = {}
        for interface in interfaces:
            client = self._take(run, interface.target or "")
            if client is not None:
                clients[client.inside] = client
            lease = given(run, interface.target or "").lease
            if restarts and lease is not None:
                self._again[run.uuid, interface.mac or ""] = lease.address
        ending = self._ending[run.container_id] = []
        # Also those that an earlier daemon started and that we have not got to know.
        for inside, pid in find_clients(self._place(run)).items():
            told = end_client(pid, inside, release=not restarts)
            if told is not None:
                ending.append((clients.pop(inside, None), told))
        for client in clients.values():
            _reap(client)

    def forget(self, run: Run) -> None:
        deadline = time.monotonic() + _END_SECONDS
        for client, ending in self._ending.pop(run.container_id, ()):
            ending.wait(max(0.0, deadline - time.monotonic()))
            if client is not None:
                _reap(client)

    def _changed_to(self, run: Run) -> None:
        """Its interfaces are others now."""
        with self._changed:
            if run.container_id in self._runs:
                self._runs[run.container_id] = run
        self._tell_etc(run)

    def _place(self, run: Run) -> RunCgroup:
        return self._supervisor.adopt(run.container_id)

    def _add(self, client: _Client) -> None:
        with self._changed:
            self._clients[client.key] = client
            self._runs[client.run.container_id] = client.run
            self._wake()

    def _take(self, run: Run, name: str) -> _Client | None:
        """Nothing is done for it any more when this returns."""
        with self._changed:
            client = self._clients.pop((run.container_id, name), None)
        if client is not None:
            self._watcher.unwatch(("dhcp", *client.key))
            with client.lock:
                client.over = True
        return client

    def _wake(self) -> None:
        """Runs with the condition's lock held."""
        self._woken = True
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._woken or self._stopping, self._pause())
                self._woken = False
                clients = list(self._clients.values())
            for client in clients:
                if self._stopping:
                    return
                self._look_after(client)
            if self._stopping:
                return

    def _pause(self) -> float | None:
        """How long to sleep. Runs with the condition's lock held."""
        if not self._clients:
            return None
        return max(0.0, min(client.due for client in self._clients.values()) - time.monotonic())

    def _look_after(self, client: _Client) -> None:
        with client.lock:
            if client.over or (time.monotonic() < client.due and not client.exited):
                return
            try:
                if client.exited:
                    self._ended(client)
                    return
                if not client.running:
                    self._find_or_start(client)
                self._follow(client)
                eager = client.has.lease is None and time.monotonic() - client.started < _EAGER_SECONDS
                eager = eager or client.lost is not None
                client.due = time.monotonic() + (_EAGER_LOOK_SECONDS if eager else _LOOK_SECONDS)
            except (Error, OSError) as error:
                self._failed(client, error)
            except Exception:  # a thread top: one odd lease must not cost all others theirs
                client.due = time.monotonic() + _RETRY_SECONDS
                log.exception("A DHCP client could not be looked after container=%s", client.run.container_id)

    def _failed(self, client: _Client, error: Exception) -> None:
        client.due = time.monotonic() + _RETRY_SECONDS
        if str(error) != client.told:  # once, not with every try
            log.error(
                "No address by DHCP yet domain=%s interface=%s: %s", client.run.config.name, client.inside, error
            )
        client.told = str(error)

    def _find_or_start(self, client: _Client) -> None:
        pid = None
        if client.adopted:
            client.adopted = False
            client.has = given(client.run, client.name)
            pid = find_clients(self._place(client.run)).get(client.inside)
        if pid is None:
            pid = self._start(client)
            client.started = time.monotonic()
        try:
            identity = ProcessIdentity.of(pid)
        except ProcessLookupError:
            client.exited = True
            return
        client.running = True
        self._watcher.watch(("dhcp", *client.key), identity, lambda _key: self._hear_of_end(client))

    def _start(self, client: _Client) -> int:
        run = client.run
        path = lease_file(run, client.name)
        make_directory(path.parent, mode=0o700)
        lease = client.has.lease
        request = ClientRequest(
            interface=client.inside,
            namespaces=namespaces_in(namespaces_directory(run.bundle)),
            lease_file=path,
            # The last of its ids, which no image names; nobody outside has it, and it owns nothing.
            user_id=id_map(run.config, run.first_id).count - 1,
            hostname=host_name(run.config).partition(".")[0],
            address=lease.address if lease else client.wanted_address,
        )
        client.child = start_client(request, room=self._room, helpers=self._place(run))
        log.debug(
            "DHCP client started domain=%s interface=%s pid=%d", run.config.name, client.inside, client.child.pid
        )
        return client.child.pid

    def _hear_of_end(self, client: _Client) -> None:
        """In the thread that watches for ends, which may not wait."""
        client.exited = True
        with self._changed:
            self._wake()

    def _ended(self, client: _Client) -> None:
        """It should not have: nobody hears of one that was told to end."""
        status = client.child.poll() if client.child else None
        client.child, client.running, client.exited = None, False, False
        if client.moved:
            client.moved = False
            return
        client.due = time.monotonic() + _RETRY_SECONDS
        name = client.run.config.name
        log.warning(
            "DHCP client ended, another follows domain=%s interface=%s status=%s", name, client.inside, status
        )

    def _follow(self, client: _Client) -> None:
        """Make true what the client has heard last."""
        path = lease_file(client.run, client.name)
        try:
            facts = os.stat(path)
        except FileNotFoundError:
            return
        if client.seen == (facts.st_size, facts.st_mtime_ns):
            return
        event = last_event(read_lease_file(path))
        if event is not None:
            lease = _lease(client, event)
            if lease is None and _may_have_it_again(client):
                return
            self._set_up(client, lease)
        client.seen, client.lost, client.told = (facts.st_size, facts.st_mtime_ns), None, ""

    def _set_up(self, client: _Client, lease: Lease | None) -> None:
        run, had = client.run, client.has
        now = Given(lease=lease, addresses=(lease.cidr,) if lease else ())
        if now == had:
            return
        # On record before it is so: who finds the old lease with more addresses than its own does all of it again.
        both = Given(lease=had.lease, addresses=tuple(dict.fromkeys((*had.addresses, *now.addresses))))
        record_given(run, client.name, both)
        client.has = both
        self._network.admit(run, client.interface, both.addresses)
        setup = LeaseSetup(
            interface=client.inside,
            lease=lease,
            previous=both.addresses,
            metric=_FIRST_METRIC + client.number,
            default_route=run.config.takes_gateway(client.interface),
            take_mtu=client.interface.mtu is None,
        )
        set_up_lease(setup, run.network_namespace)
        self._network.admit(run, client.interface, now.addresses)
        record_given(run, client.name, now)
        client.has = now
        self._tell_etc(self._runs.get(run.container_id, run))
        log.info("Addresses by DHCP domain=%s interface=%s address=%s before=%s server=%s", run.config.name,
                 client.inside, " ".join(now.addresses) or "none", had.lease.cidr if had.lease else "none",
                 lease.server if lease else "none")  # fmt: skip

    def _tell_etc(self, run: Run) -> None:
        """Write resolv.conf and hosts anew, in place."""
        config, dns = run.config, run.config.settings.dns
        own: list[str] = []
        leases: list[Lease] = []
        for interface in config.interfaces:
            own += [address.cidr for address in interface.addresses]
            lease = given(run, interface.target or "").lease if config.asks_dhcp(interface) else None
            if lease is not None:
                own.append(lease.cidr)
                leases.append(lease)
        heard = tuple(dict.fromkeys(server for lease in leases for server in lease.nameservers))
        servers = dns.nameservers or heard[:_MOST_NAMESERVERS] or host_nameservers()
        search = dns.search or tuple(dict.fromkeys(domain for lease in leases for domain in lease.search))
        texts = {
            "resolv.conf": resolv_conf_text(servers, search, dns.options),
            "hosts": hosts_text(host_name(config), own),
        }
        for file, text in texts.items():
            try:
                with self._etc:
                    update_etc_file(run.bundle, file, text)
            except OSError as error:
                log.warning(
                    "A file of the container is not up to date domain=%s file=%s: %s", config.name, file, error
                )


def _may_have_it_again(client: _Client) -> bool:
    """A client that ends gives its lease up, and one that begins has none: neither may cost a container its address.

    So it goes when systemd stops the scope of a container: that may still need its network.
    """
    if client.has.lease is None:
        return False
    now = time.monotonic()
    if client.lost is None:
        client.lost = now
    return client.exited or now - client.lost < _LOSS_SECONDS or now - client.started < _NEWCOMER_SECONDS


def _lease(client: _Client, event: Mapping[str, str]) -> Lease | None:
    """An answer of no use is one log line, and no lease."""
    try:
        return lease_of(event)
    except BadLease as error:
        log.warning("%s domain=%s interface=%s", error, client.run.config.name, client.inside)
        return None


def _reap(client: _Client) -> None:
    if client.child is not None:
        client.child.stop(grace_seconds=_END_SECONDS)
