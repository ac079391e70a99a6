# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A few domains in memory behind a real VirtocidServer: enough for stock clients to list, start and watch them."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from covirt.common.daemon_lock import acquire_daemon_lock
from covirt.common.errors import Conflict, Error, NotFound
from covirt.common.root import Root
from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.events import EventBus
from covirt.virtocid.server import VirtocidServer
from covirt.virtocid.settings import ServerSettings
from covirt.virtocid.streams import DescriptorEndpoint
from covirt.wire import procedures as proc
from covirt.wire.constants import (
    DomainState,
    ErrorCode,
    ErrorDomain,
    LifecycleEvent,
    ListDomainsFlag,
    RunningReason,
    ShutoffReason,
    StartedDetail,
    StoppedDetail,
)
from covirt.wire.params import int_, string, ullong
from covirt.wire.structs import (
    ActiveRet,
    AutostartRet,
    CapabilitiesRet,
    DomainArgs,
    DomainFlagsArgs,
    DomainListArgs,
    DomainRet,
    HostnameRet,
    ListArgs,
    NameArgs,
    NumRet,
    PersistentRet,
    RemoteDomain,
    RemoteError,
    ResultRet,
    TypeRet,
    UuidArgs,
    XmlRet,
)
from covirt.wire.structs_connect import (
    ConnectGetAllDomainStatsArgs,
    ConnectGetAllDomainStatsRet,
    ConnectGetLibVersionRet,
    ConnectGetVersionRet,
    ConnectListAllDomainsRet,
    DomainStatsRecord,
    NodeGetInfoRet,
    NodeGetSecurityModelRet,
)
from covirt.wire.structs_domain import (
    DomainGetInfoRet,
    DomainGetMessagesRet,
    DomainGetStateRet,
    DomainListAllSnapshotsRet,
    DomainLookupByIdArgs,
    DomainOpenConsoleArgs,
)
from tests.support.garbage import collected_here

_NAMESPACE: Final = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
_TEMPLATE: Final = """<domain type='oci'{id}>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>65536</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64'>exe</type><init>/bin/sh</init></os>
  <devices><console type='pty'><target type='lxc' port='0'/><alias name='console0'/></console></devices>
</domain>
"""


class NoSuchDomain(NotFound):
    template = "Domain not found: no domain matches {what}"


class DomainRuns(Conflict):
    template = "Requested operation is not valid: domain is already running"


class DomainDoesNotRun(Conflict):
    template = "Requested operation is not valid: domain is not running"


@dataclass
class FakeDomain:
    name: str
    uuid: uuid.UUID
    id: int = -1

    @property
    def remote(self) -> RemoteDomain:
        return RemoteDomain(name=self.name, uuid=self.uuid, id=self.id)


def translate(error: Error) -> RemoteError:
    code = ErrorCode.NO_DOMAIN if isinstance(error, NotFound) else ErrorCode.OPERATION_INVALID
    return RemoteError(code=code, domain=ErrorDomain.DOMAIN, message=str(error))


@dataclass
class FakeDomains:
    """The handlers; each console is an echo."""

    names: tuple[str, ...] = ("alpha", "beta", "gamma")
    bus: EventBus = field(default_factory=EventBus)
    console_closed: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)
    slow_calls: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._next_id = 1
        self.domains = {
            one.uuid: one for one in (FakeDomain(name, uuid.uuid5(_NAMESPACE, name)) for name in self.names)
        }
        self.consoles: list[socket.socket] = []

    def table(self) -> HandlerTable:
        table = HandlerTable()
        table.add(proc.CONNECT_GET_TYPE, lambda _ctx, _args: TypeRet(type="OCI"))
        table.add(proc.CONNECT_GET_VERSION, lambda _ctx, _args: ConnectGetVersionRet(hv_ver=1_002_003))
        table.add(proc.CONNECT_GET_LIB_VERSION, lambda _ctx, _args: ConnectGetLibVersionRet(lib_ver=9_000_000))
        table.add(proc.CONNECT_GET_HOSTNAME, lambda _ctx, _args: HostnameRet(hostname="fake.example"))
        table.add(proc.CONNECT_GET_CAPABILITIES, lambda _ctx, _args: CapabilitiesRet(capabilities="<capabilities/>"))
        table.add(proc.NODE_GET_INFO, self.node_get_info)
        table.add(proc.NODE_GET_SECURITY_MODEL, lambda _ctx, _args: NodeGetSecurityModelRet(model="", doi=""))
        table.add(proc.CONNECT_LIST_ALL_DOMAINS, self.list_all)
        table.add(proc.CONNECT_GET_ALL_DOMAIN_STATS, self.all_stats)
        table.add(proc.DOMAIN_LOOKUP_BY_ID, self.lookup_by_id)
        table.add(proc.DOMAIN_LOOKUP_BY_NAME, self.lookup_by_name)
        table.add(proc.DOMAIN_LOOKUP_BY_UUID, lambda _ctx, args: DomainRet(dom=self.find_uuid(args).remote))
        table.add(proc.DOMAIN_GET_STATE, self.get_state)
        table.add(proc.DOMAIN_GET_INFO, self.get_info)
        table.add(proc.DOMAIN_GET_XML_DESC, self.get_xml)
        table.add(proc.DOMAIN_GET_OS_TYPE, lambda _ctx, _args: TypeRet(type="exe"))
        table.add(proc.DOMAIN_IS_ACTIVE, lambda _ctx, args: ActiveRet(active=int(self.find(args.dom).id > 0)))
        table.add(proc.DOMAIN_IS_PERSISTENT, lambda _ctx, _args: PersistentRet(persistent=1))
        table.add(proc.DOMAIN_GET_AUTOSTART, lambda _ctx, _args: AutostartRet(autostart=0))
        table.add(proc.DOMAIN_HAS_MANAGED_SAVE_IMAGE, lambda _ctx, _args: ResultRet(result=0))
        table.add(proc.DOMAIN_GET_MESSAGES, lambda _ctx, _args: DomainGetMessagesRet(msgs=()))
        table.add(proc.DOMAIN_SNAPSHOT_NUM, lambda _ctx, _args: NumRet(num=0))
        table.add(proc.DOMAIN_LIST_ALL_SNAPSHOTS, self.list_snapshots)
        table.add(proc.DOMAIN_CREATE, self.create)
        table.add(proc.DOMAIN_DESTROY, self.destroy)
        table.add(proc.DOMAIN_SHUTDOWN, self.shutdown)
        table.add(proc.DOMAIN_UNDEFINE, self.shutdown)
        table.add(proc.DOMAIN_REBOOT, self.broken)
        table.add(proc.DOMAIN_OPEN_CONSOLE, self.open_console)
        return table

    def find(self, dom: RemoteDomain) -> FakeDomain:
        return self.find_uuid(UuidArgs(uuid=dom.uuid))

    def find_uuid(self, args: UuidArgs) -> FakeDomain:
        try:
            return self.domains[args.uuid]
        except KeyError:
            raise NoSuchDomain(what=f"uuid '{args.uuid}'") from None

    def remote(self, name: str) -> RemoteDomain:
        return next(domain.remote for domain in self.domains.values() if domain.name == name)

    def lookup_by_name(self, _ctx: Context, args: NameArgs) -> DomainRet:
        for domain in self.domains.values():
            if domain.name == args.name:
                return DomainRet(dom=domain.remote)
        raise NoSuchDomain(what=f"name '{args.name}'")

    def lookup_by_id(self, _ctx: Context, args: DomainLookupByIdArgs) -> DomainRet:
        for domain in self.domains.values():
            if domain.id == args.id:
                return DomainRet(dom=domain.remote)
        raise NoSuchDomain(what=f"id {args.id}")

    def list_all(self, _ctx: Context, args: ListArgs) -> ConnectListAllDomainsRet:
        wanted = args.flags & (ListDomainsFlag.ACTIVE | ListDomainsFlag.INACTIVE)
        domains = tuple(
            domain.remote
            for domain in self.domains.values()
            if not wanted or wanted & (ListDomainsFlag.ACTIVE if domain.id > 0 else ListDomainsFlag.INACTIVE)
        )
        return ConnectListAllDomainsRet(domains=domains if args.need_results else (), ret=len(domains))

    def list_snapshots(self, _ctx: Context, _args: DomainListArgs) -> DomainListAllSnapshotsRet:
        return DomainListAllSnapshotsRet(snapshots=(), ret=0)

    def all_stats(self, _ctx: Context, args: ConnectGetAllDomainStatsArgs) -> ConnectGetAllDomainStatsRet:
        domains = [self.find(dom) for dom in args.doms] or list(self.domains.values())
        return ConnectGetAllDomainStatsRet(
            ret_stats=tuple(
                DomainStatsRecord(
                    dom=domain.remote,
                    params=(
                        int_("state.state", DomainState.RUNNING if domain.id > 0 else DomainState.SHUTOFF),
                        ullong("cpu.time", 2**40 + 1),
                        string("net.0.name", "vnet0"),
                    ),
                )
                for domain in domains
            )
        )

    def node_get_info(self, _ctx: Context, _args: None) -> NodeGetInfoRet:
        return NodeGetInfoRet(
            model="x86_64", memory=2097152, cpus=4, mhz=2500, nodes=1, sockets=1, cores=2, threads=2
        )

    def get_state(self, _ctx: Context, args: DomainFlagsArgs) -> DomainGetStateRet:
        if self.find(args.dom).id > 0:
            return DomainGetStateRet(state=DomainState.RUNNING, reason=RunningReason.BOOTED)
        return DomainGetStateRet(state=DomainState.SHUTOFF, reason=ShutoffReason.DESTROYED)

    def get_info(self, _ctx: Context, args: DomainArgs) -> DomainGetInfoRet:
        running = self.find(args.dom).id > 0
        state = DomainState.RUNNING if running else DomainState.SHUTOFF
        return DomainGetInfoRet(state=state, max_mem=65536, memory=32768, nr_virt_cpu=1, cpu_time=123_000_000_000)

    def get_xml(self, ctx: Context, args: DomainFlagsArgs) -> XmlRet:
        domain = self.find(args.dom)
        text = _TEMPLATE.format(name=domain.name, uuid=domain.uuid, id=f" id='{domain.id}'" if domain.id > 0 else "")
        return XmlRet(xml=text.replace("/bin/sh", "***") if ctx.readonly else text)

    def create(self, _ctx: Context, args: DomainArgs) -> None:
        with self._lock:
            domain = self.find(args.dom)
            if domain.id > 0:
                raise DomainRuns
            domain.id, self._next_id = self._next_id, self._next_id + 1
            self.bus.lifecycle(domain.remote, LifecycleEvent.STARTED, StartedDetail.BOOTED)

    def destroy(self, _ctx: Context, args: DomainArgs) -> None:
        with self._lock:
            domain = self.find(args.dom)
            if domain.id < 0:
                raise DomainDoesNotRun
            domain.id = -1
            self.bus.lifecycle(domain.remote, LifecycleEvent.STOPPED, StoppedDetail.DESTROYED)

    def shutdown(self, _ctx: Context, _args: DomainArgs) -> None:
        """Slow: waits for the test to open the gate."""
        self.slow_calls += 1
        self.gate.wait(60)

    def broken(self, _ctx: Context, _args: DomainFlagsArgs) -> None:
        raise KeyError("a bug")

    def open_console(self, ctx: Context, args: DomainOpenConsoleArgs) -> None:
        if self.find(args.dom).id < 0:
            raise DomainDoesNotRun
        ours, theirs = socket.socketpair()
        self.consoles.append(theirs)
        if args.dev_name == "echo":
            threading.Thread(target=_echo, args=(theirs,), name="console-echo", daemon=True).start()
        ctx.open_stream(DescriptorEndpoint(os.dup(ours.fileno()), on_close=self.console_closed.set))
        ours.close()

    def close(self) -> None:
        self.gate.set()
        for console in self.consoles:
            console.close()
        deadline = time.monotonic() + 10
        while any(thread.name == "console-echo" for thread in threading.enumerate()) and time.monotonic() < deadline:
            time.sleep(0.01)


def _echo(peer: socket.socket) -> None:
    """Send back what comes, and end at ``exit``, as a shell would."""
    try:
        while data := peer.recv(65536):
            peer.sendall(data)
            if data.endswith(b"exit\n"):
                break
        peer.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running server and what is behind it."""

    root: Root
    domains: FakeDomains
    server: VirtocidServer

    def wait_for_registrations(self, count: int) -> None:
        """Until clients have registered for so many events, all together."""
        deadline = time.monotonic() + 20
        while self.server.registration_count < count:
            assert time.monotonic() < deadline, "the client did not register"
            time.sleep(0.01)

    @property
    def uri(self) -> str:
        return f"oci+unix:///system?socket={self.server.socket_path}"

    @property
    def readonly_uri(self) -> str:
        return f"oci+unix:///system?socket={self.server.readonly_socket_path}"


@contextmanager
def fake_service(root: Root, *, settings: ServerSettings | None = None, names: int = 3) -> Iterator[Service]:
    """A server on ``root``, stopped afterwards."""
    some = ("alpha", "beta", "gamma")
    domains = FakeDomains(names=some if names == 3 else tuple(f"web-{number}" for number in range(names)))
    with acquire_daemon_lock(root, "virtocid"):
        server = VirtocidServer(
            root=root, handlers=domains.table(), translate=translate, bus=domains.bus, settings=settings
        )
        server.start()
        try:
            with collected_here():
                yield Service(root=root, domains=domains, server=server)
        finally:
            domains.gate.set()
            server.stop()
            domains.close()
