# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Unmodified virsh and libvirt-python against the server: their decoders judge our table."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import libvirt
import pytest

from covirt.common.process import DEVNULL, PIPE, Child, CommandTimeout, Completed, run, spawn
from covirt.common.root import Root
from covirt.virtocid.settings import ServerSettings
from covirt.wire.constants import MetadataType
from tests.support.fake_domains import Service, fake_service

_SECONDS = 30


@pytest.fixture
def service(root_dir: Root) -> Iterator[Service]:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with fake_service(root_dir) as running:
        yield running


def virsh(service: Service, *arguments: str, readonly: bool = False, check: bool = True) -> Completed:
    uri = service.readonly_uri if readonly else service.uri
    flags = ["--readonly"] if readonly else []
    return run(["virsh", *flags, "--connect", uri, *arguments], timeout_seconds=_SECONDS, check=check)


@contextmanager
def opened(uri: str, *, readonly: bool = False) -> Iterator["libvirt.virConnect"]:
    connection = libvirt.openReadOnly(uri) if readonly else libvirt.open(uri)
    try:
        yield connection
    finally:
        connection.close()


@dataclass
class Listener:
    """A libvirt-python client with an event loop, in a process of its own."""

    child: Child

    def line(self) -> str:
        return self.child.stdout.readline().decode().rstrip("\n")


@contextmanager
def listening(uri: str, *, keepalive_seconds: int = 0) -> Iterator[Listener]:
    argv = [sys.executable, "-m", "tests.support.libvirt_events", uri, str(keepalive_seconds)]
    with spawn(argv, stdin=PIPE, stdout=PIPE, stderr=DEVNULL) as child:
        listener = Listener(child)
        assert listener.line() == "ready"
        yield listener
        child.stdin.close()
        assert child.wait(timeout_seconds=_SECONDS) == 0


def test_virsh_lists_and_shows(service: Service) -> None:
    listed = virsh(service, "list", "--all", "--name").stdout.split()
    assert listed == [b"alpha", b"beta", b"gamma"]
    virsh(service, "start", "alpha")
    assert virsh(service, "list", "--name").stdout.split() == [b"alpha"]
    info = virsh(service, "dominfo", "alpha").stdout.decode()
    assert "State:          running" in info
    assert "Max memory:     65536 KiB" in info
    assert "CPU time:       123.0s" in info
    assert virsh(service, "domstate", "alpha", "--reason").stdout.strip() == b"running (booted)"
    assert b"<name>alpha</name>" in virsh(service, "dumpxml", "alpha").stdout
    stats = virsh(service, "domstats", "alpha").stdout.decode()
    assert "cpu.time=1099511627777" in stats
    assert "net.0.name=vnet0" in stats
    assert "Memory size:         2097152 KiB" in virsh(service, "nodeinfo").stdout.decode()
    virsh(service, "destroy", "alpha")
    assert virsh(service, "domstate", "alpha", "--reason").stdout.strip() == b"shut off (destroyed)"


def test_virsh_tells_what_went_wrong(service: Service) -> None:
    unknown = virsh(service, "domstate", "nosuch", check=False)
    assert b"failed to get domain 'nosuch'" in unknown.stderr
    not_running = virsh(service, "destroy", "alpha", check=False)
    assert b"domain is not running" in not_running.stderr
    unsupported = virsh(service, "net-list", check=False)
    assert b"not supported by the connection driver" in unsupported.stderr
    agent = virsh(service, "qemu-agent-command", "alpha", "{}", check=False)
    assert b"not supported by the connection driver" in agent.stderr


def test_read_only_virsh_changes_nothing(service: Service) -> None:
    assert virsh(service, "list", "--all", "--name", readonly=True).stdout.split() == [b"alpha", b"beta", b"gamma"]
    assert b"***" in virsh(service, "dumpxml", "alpha", readonly=True).stdout
    for command in (["start", "alpha"], ["destroy", "alpha"], ["dumpxml", "alpha", "--security-info"]):
        refused = virsh(service, *command, readonly=True, check=False)
        assert refused.status != 0
        assert b"operation forbidden" in refused.stderr
    assert {domain.id for domain in service.domains.domains.values()} == {-1}


def test_python_binding(service: Service) -> None:
    with opened(service.uri) as connection:
        assert connection.getType() == "OCI"
        assert connection.getVersion() == 1_002_003
        assert connection.getLibVersion() == 9_000_000
        assert connection.getHostname() == "fake.example"
        assert connection.isSecure() == 1
        assert connection.isAlive() == 1
        assert connection.getInfo() == ["x86_64", 2048, 4, 2500, 1, 1, 2, 2]
        assert connection.getSecurityModel() == ["", ""]
        domain = connection.lookupByName("alpha")
        assert not domain.isActive()
        domain.create()
        assert domain.ID() == 1
        assert domain.info() == [libvirt.VIR_DOMAIN_RUNNING, 65536, 32768, 1, 123_000_000_000]
        assert domain.state() == [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED]
        assert connection.lookupByID(1).UUIDString() == domain.UUIDString()
        assert connection.lookupByUUIDString(domain.UUIDString()).name() == "alpha"
        assert [one.name() for one in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE)] == [
            "beta",
            "gamma",
        ]
        stats = connection.domainListGetStats([domain])
        assert len(stats) == 1
        assert stats[0][1] == {"state.state": 1, "cpu.time": 1099511627777, "net.0.name": "vnet0"}
        assert len(connection.getAllDomainStats()) == 3


def test_python_binding_gets_the_right_errors(service: Service) -> None:
    with opened(service.uri) as connection:
        with pytest.raises(libvirt.libvirtError) as unknown:
            connection.lookupByName("nosuch")
        assert unknown.value.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN
        domain = connection.lookupByName("alpha")
        with pytest.raises(libvirt.libvirtError) as bug:
            domain.reboot()
        assert bug.value.get_error_code() == libvirt.VIR_ERR_INTERNAL_ERROR
        with pytest.raises(libvirt.libvirtError) as unsupported:
            domain.migrateSetMaxSpeed(1)
        assert unsupported.value.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT
    with pytest.raises(libvirt.libvirtError) as foreign:
        libvirt.open(service.uri.replace("oci+unix", "qemu+unix"))
    assert foreign.value.get_error_code() == libvirt.VIR_ERR_NO_CONNECT


def test_many_domains(root_dir: Root) -> None:
    with fake_service(root_dir, names=3000) as service, opened(service.uri) as connection:
        assert len(connection.listAllDomains()) == 3000
        stats = connection.getAllDomainStats()
        assert len(stats) == 3000
        assert stats[2999][0].name() == "web-2999"


def test_two_hundred_connections(service: Service) -> None:
    connections = [libvirt.open(service.uri) for _ in range(200)]
    assert service.server.client_count == 200
    assert {connection.getHostname() for connection in connections} == {"fake.example"}
    for connection in connections:
        connection.close()


def test_events_reach_two_clients_in_order(service: Service) -> None:
    with listening(service.uri) as first, listening(service.readonly_uri) as second:
        with opened(service.uri) as connection:
            domain = connection.lookupByName("beta")
            for _ in range(5):
                domain.create()
                domain.destroy()
        remote = service.domains.remote("beta")
        service.domains.bus.reboot(remote)
        service.domains.bus.metadata_change(remote, MetadataType.ELEMENT, "http://example.org/x")
        service.domains.bus.metadata_change(remote, MetadataType.TITLE, None)
        expected = [
            line for run_id in range(1, 6) for line in (f"lifecycle beta {run_id} 2 0", "lifecycle beta -1 5 1")
        ] + ["reboot beta", "metadata beta 2 http://example.org/x", "metadata beta 1 None"]
        for listener in (first, second):
            assert [listener.line() for _ in expected] == expected


def test_virsh_event(service: Service) -> None:
    argv = ["virsh", "--connect", service.uri, "event", "--all", "--loop", "--timeout", "60"]
    with spawn(argv, stdout=PIPE, stderr=DEVNULL) as child:
        service.wait_for_registrations(27)
        with opened(service.uri) as connection:
            connection.lookupByName("alpha").create()
        line = child.stdout.readline().decode()
    assert "event 'lifecycle' for domain 'alpha': Started Booted" in line


def test_close_callback_fires_when_the_server_goes(root_dir: Root) -> None:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with fake_service(root_dir) as service, listening(service.uri) as listener:
        service.server.stop()
        assert listener.line() == f"closed {libvirt.VIR_CONNECT_CLOSE_REASON_EOF}"


def test_keepalive_both_ways(root_dir: Root) -> None:
    """The client pings every second, the server ten times a second; the client answers and both stay content."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    settings = ServerSettings(keepalive_interval_seconds=0.1, keepalive_count=2)
    with (
        fake_service(root_dir, settings=settings) as service,
        listening(service.uri, keepalive_seconds=1) as listener,
    ):
        with pytest.raises(CommandTimeout):
            listener.child.wait(timeout_seconds=2.5)
        service.domains.bus.reboot(service.domains.remote("gamma"))
        assert listener.line() == "reboot gamma"
