# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""libvirt-python: lists by flags, bulk statistics, streams, and what virt-manager asks for its list."""

import threading

import libvirt
import pytest

from covirt.wire import procedures as proc
from covirt.wire.structs_connect import ConnectGetAllDomainStatsArgs
from tests.support.network import LinuxBridge
from tests.support.virtocid import SERVICE, Virtocid, bridge_device, domain_xml
from tests.support.waiting import wait_until
from tests.support.wire_client import WireClient

# libvirt-python shows each as an int or a str; exporters written in Go panic at any but the documented type.
_INT = {"state.state", "state.reason", "vcpu.0.state"}
_UINT = {"vcpu.current", "vcpu.maximum", "net.count", "block.count"}
_NUMBERS = {
    "state.state", "state.reason", "cpu.time", "cpu.user", "cpu.system", "balloon.current", "balloon.maximum",
    "balloon.available", "balloon.unused", "balloon.usable", "balloon.rss", "vcpu.current", "vcpu.maximum",
    "vcpu.0.state", "vcpu.0.time", "net.count", "net.0.rx.bytes", "net.0.rx.pkts", "net.0.rx.errs", "net.0.rx.drop",
    "net.0.tx.bytes", "net.0.tx.pkts", "net.0.tx.errs", "net.0.tx.drop", "block.count", "block.0.allocation",
    "block.0.capacity", "block.0.physical",
}  # fmt: skip
_TEXTS = {"net.0.name", "block.0.name", "block.0.path"}


def names(domains: "list[libvirt.virDomain]") -> list[str]:
    return sorted(domain.name() for domain in domains)


@pytest.fixture
def several(virtocid: Virtocid) -> Virtocid:
    """One domain of each sort."""
    virtocid.run("running")
    virtocid.define("idle")
    virtocid.define("paused")
    virtocid.virsh("start", "--paused", "paused")
    virtocid.virsh("autostart", "idle")
    with virtocid.connect() as connection:
        connection.createXML(domain_xml("once"))
    return virtocid


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (0, ["idle", "once", "paused", "running"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE, ["once", "paused", "running"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE, ["idle"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT, ["idle", "paused", "running"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT, ["once"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING, ["once", "running"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED, ["paused"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_SHUTOFF, ["idle"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING | libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED,
         ["once", "paused", "running"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING | libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT, ["once"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART, ["idle"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART, ["once", "paused", "running"]),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE, []),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT, []),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT, ["idle", "once", "paused", "running"]),
    ],
)  # fmt: skip
def test_lists_by_flags(several: Virtocid, flags: int, expected: list[str]) -> None:
    with several.connect() as connection:
        assert names(connection.listAllDomains(flags)) == expected
        if not flags:
            assert connection.numOfDomains() == 3
            assert connection.listDefinedDomains() == ["idle"]
            assert sorted(connection.listDomainsID()) == sorted(
                domain.ID() for domain in connection.listAllDomains() if domain.isActive()
            )
            statistics = connection.getAllDomainStats(0, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_PAUSED)
            assert [domain.name() for domain, _ in statistics] == ["paused"]


def test_bulk_statistics(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    disk = f"<disk type='file' device='cdrom'><source file='{virtocid.image}'/><target dev='sda'/><readonly/></disk>"
    virtocid.run("web", SERVICE, image="", devices=disk + bridge_device(linux_bridge.name))
    with virtocid.connect() as connection:
        ((domain, statistics),) = connection.getAllDomainStats()
        assert domain.name() == "web"
        assert set(statistics) >= _NUMBERS | _TEXTS
        assert all(type(statistics[name]) is int for name in _NUMBERS)
        assert all(type(statistics[name]) is str for name in _TEXTS)
        assert statistics["net.0.name"] in domain.XMLDesc()
        assert statistics["block.0.name"] == "sda"
        only = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)[0][1]
        assert set(only) == {"state.state", "state.reason"}
        with pytest.raises(libvirt.libvirtError, match="not supported"):
            connection.getAllDomainStats(
                libvirt.VIR_DOMAIN_STATS_PERF, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS
            )


def test_types_of_the_statistics_on_the_wire(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    disk = f"<disk type='file' device='cdrom'><source file='{virtocid.image}'/><target dev='sda'/><readonly/></disk>"
    virtocid.run("web", SERVICE, image="", devices=disk + bridge_device(linux_bridge.name))
    with WireClient(virtocid.root.libvirt_dir / "virtocid-sock") as client:
        args = ConnectGetAllDomainStatsArgs(doms=(), stats=0, flags=0)
        (record,) = client.open().call(proc.CONNECT_GET_ALL_DOMAIN_STATS, args).ret_stats
    for param in record.params:
        expected = 1 if param.field in _INT else 2 if param.field in _UINT else 7 if param.field in _TEXTS else 4
        assert param.type == expected, param


def test_statistics_of_named_domains(several: Virtocid) -> None:
    with several.connect() as connection:
        domains = [connection.lookupByName(name) for name in ("idle", "running")]
        answers = connection.domainListGetStats(domains, 0)
        assert [domain.name() for domain, _ in answers] == ["idle", "running"]
        # Filters are for all domains; who names some gets one record for each.
        answers = connection.domainListGetStats(domains, 0, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING)
        assert len(answers) == 2
        gone = connection.lookupByName("once")
        gone.destroy()
        with pytest.raises(libvirt.libvirtError) as caught:
            connection.domainListGetStats([gone], 0)
        assert caught.value.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN


def test_error_codes(virtocid: Virtocid) -> None:
    virtocid.define("idle")
    with virtocid.connect() as connection:
        domain = connection.lookupByName("idle")
        expected = {
            libvirt.VIR_ERR_NO_DOMAIN: lambda: connection.lookupByName("other"),
            libvirt.VIR_ERR_OPERATION_INVALID: domain.destroy,
            libvirt.VIR_ERR_NO_DOMAIN_METADATA: lambda: domain.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None),
            libvirt.VIR_ERR_XML_ERROR: lambda: connection.defineXML("<domain"),
            libvirt.VIR_ERR_NO_SUPPORT: lambda: connection.listAllNetworks(),
            libvirt.VIR_ERR_CONFIG_UNSUPPORTED: lambda: connection.defineXML(domain_xml("x", runtime="youki")),
        }
        for code, call in expected.items():
            with pytest.raises(libvirt.libvirtError) as caught:
                call()
            assert caught.value.get_error_code() == code, caught.value


def test_names_and_ids_outlive_the_connection(virtocid: Virtocid) -> None:
    with virtocid.connect() as connection:
        domain = connection.defineXML(domain_xml("web"))
        domain.create()
        assert domain.ID() > 0
        assert domain.isActive() == domain.isPersistent() == 1
        assert domain.OSType() == "exe"
        assert domain.info()[:4] == [libvirt.VIR_DOMAIN_RUNNING, 65536, 65536, 1]
        assert domain.state() == [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED]
        uuid = domain.UUIDString()
        domain.destroy()
    with virtocid.connect() as connection:
        again = connection.lookupByUUIDString(uuid)
        assert (again.name(), again.ID(), again.isActive()) == ("web", -1, 0)


def test_hundred_calls_at_once(virtocid: Virtocid) -> None:
    """Several threads on one connection, as a host agent uses it, with starts and stops among them."""
    for number in range(4):
        virtocid.define(f"web{number}")
    failures: list[Exception] = []
    with virtocid.connect() as connection:

        def work(name: str) -> None:
            try:
                domain = connection.lookupByName(name)
                for _ in range(3):
                    domain.create()
                    for _ in range(10):
                        connection.getAllDomainStats()
                        domain.info()
                    domain.destroy()
            except libvirt.libvirtError as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(f"web{number}",), name=f"w{number}") for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert connection.numOfDomains() == 0


def test_what_virt_manager_asks_for_its_list(several: Virtocid) -> None:
    """The calls of its connection object and of each row, in the order it makes them."""
    with several.connect() as connection:
        assert connection.getType() == "OCI"
        assert connection.getLibVersion() >= 9_000_000
        assert connection.getVersion() > 0
        assert connection.getCapabilities().startswith("<capabilities>")
        assert connection.getInfo()[2] > 0
        assert [pool.name() for pool in connection.listAllStoragePools()] == ["images"]
        for call in (connection.listAllNetworks, connection.listAllDevices):
            with pytest.raises(libvirt.libvirtError) as caught:
                call()
            assert caught.value.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT  # which hides the tab
        for domain in connection.listAllDomains():
            assert domain.hasManagedSaveImage() == 0
            assert domain.snapshotNum() == 0
            assert domain.listAllSnapshots() == []
            assert domain.autostart() in (0, 1)
            assert "<domain type='oci'" in domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
            assert domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        assert len(connection.getAllDomainStats()) == 4


def test_stream_of_a_console(virtocid: Virtocid) -> None:
    virtocid.run("echo", ("/bin/cat",), settings="<covirt:console terminal='no'/>")
    with virtocid.connect() as connection:
        stream = connection.newStream()
        connection.lookupByName("echo").openConsole(None, stream)
        stream.send(b"through and back\n")
        received = b""
        while not received.endswith(b"\n"):
            received += stream.recv(1024)
        assert received == b"through and back\n"
        stream.finish()
        second = connection.newStream()
        connection.lookupByName("echo").openConsole(None, second)
        connection.lookupByName("echo").destroy()
        wait_until(lambda: ended(second), what="the end of the stream")


def ended(stream: "libvirt.virStream") -> bool:
    """Whether nothing more can come; what still comes is dropped."""
    try:
        return not stream.recv(1024)
    except libvirt.libvirtError:
        return True
