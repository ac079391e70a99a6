# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Vdsm's own sequence around a start and an end, call by call, over one connection as it makes them."""

from typing import Final
from uuid import uuid4

import libvirt
import pytest
from lxml import etree

from covirt.common.dialect import OVIRT_CONTAINER_NAMESPACE, OVIRT_VM_NAMESPACE
from tests.support.connections import refused
from tests.support.listener import Listener, listening
from tests.support.network import LinuxBridge
from tests.support.vdsm import DISPLAY_PASSWORD, VM_BLOCK, final_xml, placeholder_xml
from tests.support.virtocid import Virtocid

ELEMENT: Final = libvirt.VIR_DOMAIN_METADATA_ELEMENT
NAME: Final = "redis"
# What Vdsm asks for every 15 seconds.
MASK: Final = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
RUNNING_NOWAIT: Final = (
    libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
)


@pytest.fixture
def uuid() -> str:
    return str(uuid4())


def define_twice(connection: "libvirt.virConnect", uuid: str, **parts: object) -> "libvirt.virDomain":
    """The placeholder, then the real definition, as at every start."""
    connection.defineXML(placeholder_xml(NAME, uuid))
    return connection.defineXML(final_xml(NAME, uuid, **parts))  # type: ignore[arg-type]  # final_xml's own


def only_lifecycle(listener: Listener, last: str) -> list[str]:
    return [line for line in listener.until(last) if line.startswith("lifecycle")]


def test_a_start_and_an_end(virtocid: Virtocid, linux_bridge: LinuxBridge, uuid: str) -> None:
    with listening(virtocid) as listener, virtocid.connect() as connection:
        with refused(libvirt.VIR_ERR_NO_DOMAIN):
            connection.lookupByUUIDString(uuid)
        with refused(libvirt.VIR_ERR_NO_DOMAIN):
            connection.lookupByName(NAME)
        held = connection.defineXML(placeholder_xml(NAME, uuid))
        assert held.state(0)[0] == libvirt.VIR_DOMAIN_SHUTOFF
        domain = connection.defineXML(final_xml(NAME, uuid, bridge=linux_bridge.name))
        assert (domain.UUIDString(), domain.ID()) == (uuid, -1)  # define never starts
        assert domain.state(0)[0] == libvirt.VIR_DOMAIN_SHUTOFF
        assert domain.metadata(ELEMENT, OVIRT_VM_NAMESPACE, 0).startswith("<vm>")
        domain.setMetadata(
            ELEMENT, '<vm><startTime type="float">1.5</startTime></vm>', "ovirt-vm", OVIRT_VM_NAMESPACE
        )
        assert domain.createWithFlags(0) == 0
        assert domain.state(0) == [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED]
        assert "<startTime" in domain.metadata(ELEMENT, OVIRT_VM_NAMESPACE, 0)
        live = etree.fromstring(domain.XMLDesc(0))
        assert live.get("type") == "oci"
        assert live.xpath("string(devices/interface/alias/@name)") == "ua-nic"
        scheduler = domain.schedulerParameters()
        assert (scheduler["vcpu_quota"], scheduler["vcpu_period"]) == (-1, 100_000)
        assert {"total", "free"} <= connection.getMemoryStats(0, 0).keys()
        assert domain.isPersistent()
        listener.until(f"lifecycle {NAME} {domain.ID()} 2 0")
        virtocid.wait_for_output(NAME, "serving")
        assert domain.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL) == 0
        assert domain.state(0)[0] == libvirt.VIR_DOMAIN_SHUTOFF
        assert domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM) == 0
        with refused(libvirt.VIR_ERR_NO_DOMAIN):
            connection.lookupByUUIDString(uuid)
        again = define_twice(connection, uuid, bridge=linux_bridge.name)
        assert again.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED) == 0
        assert again.state(0)[0] == libvirt.VIR_DOMAIN_PAUSED
        assert again.resume() == 0
        with refused(libvirt.VIR_ERR_OPERATION_INVALID):
            again.resume()


def test_the_placeholder_cannot_start_and_is_found_again(virtocid: Virtocid, uuid: str) -> None:
    with virtocid.connect() as connection:
        domain = connection.defineXML(placeholder_xml(NAME, uuid))
        with pytest.raises(libvirt.libvirtError, match="names no container image"):
            domain.createWithFlags(0)
        assert domain.state(0)[0] == libvirt.VIR_DOMAIN_SHUTOFF
        with refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
            domain.metadata(ELEMENT, OVIRT_VM_NAMESPACE, 0)
        assert connection.defineXML(domain.XMLDesc()).UUIDString() == uuid  # what was printed can be defined
    assert f"A placeholder was defined: it names no container image, and cannot start domain={NAME}" in virtocid.log
    virtocid.restart()
    assert virtocid.tell("domstate", uuid) == "shut off"
    assert "placeholder" in virtocid.tell("dominfo", uuid)


def test_a_machine_without_a_container_image_is_refused(
    virtocid: Virtocid, linux_bridge: LinuxBridge, uuid: str
) -> None:
    machine = final_xml(NAME, uuid, bridge=linux_bridge.name)
    for word in ("runtime", "image"):
        start, end = machine.index(f"<ovirtcnt:{word}>"), machine.index(f"</ovirtcnt:{word}>")
        machine = machine[:start] + machine[end + len(f"</ovirtcnt:{word}>") :]
    with virtocid.connect() as connection, pytest.raises(libvirt.libvirtError, match="no root file system"):
        connection.defineXML(machine)


def test_what_only_a_machine_has_is_named_in_one_line(
    virtocid: Virtocid, linux_bridge: LinuxBridge, uuid: str
) -> None:
    seen = len(virtocid.log)
    with virtocid.connect() as connection:
        connection.defineXML(final_xml(NAME, uuid, bridge=linux_bridge.name))
    lines = [line for line in virtocid.log[seen:].splitlines() if "Elements without a meaning" in line]
    assert len(lines) == 1
    for tag in ("memballoon", "controller (4)", "channel (3)", "graphics (2)", "video", "rng", "sound", "tpm"):
        assert tag in lines[0]
    assert DISPLAY_PASSWORD not in virtocid.log


def test_what_only_a_machine_has_survives(virtocid: Virtocid, linux_bridge: LinuxBridge, uuid: str) -> None:
    with virtocid.connect() as connection, virtocid.connect(readonly=True) as readonly:
        domain = connection.defineXML(final_xml(NAME, uuid, bridge=linux_bridge.name))
        written = etree.fromstring(domain.XMLDesc())
        for path in (
            "devices/memballoon[@model='virtio']",
            "devices/graphics",
            "devices/tpm",
            "cpu/numa",
            "maxMemory",
        ):
            assert written.find(path) is not None, path
        block = written.find(f"metadata/{{{OVIRT_CONTAINER_NAMESPACE}}}container")
        assert block is not None
        assert block.prefix == "ovirtcnt"
        assert DISPLAY_PASSWORD in domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
        assert DISPLAY_PASSWORD not in readonly.lookupByName(NAME).XMLDesc()
        assert VM_BLOCK.replace("ovirt-vm:", "") in "".join(
            line.strip() for line in domain.metadata(ELEMENT, OVIRT_VM_NAMESPACE).splitlines()
        )


def test_an_end_by_itself_is_told_as_the_guests(virtocid: Virtocid, linux_bridge: LinuxBridge, uuid: str) -> None:
    """SHUTDOWN with detail GUEST before STOPPED, from which Vdsm tells "user shut down from within the guest"."""
    with listening(virtocid) as listener, virtocid.connect() as connection:
        domain = define_twice(connection, uuid, bridge=linux_bridge.name, command=("/bin/sh", "-c", "exit 0"))
        domain.createWithFlags(0)
        heard = only_lifecycle(listener, f"lifecycle {NAME} -1 5 0")
        words = [line.split()[3:] for line in heard]
        assert words == [["0", "0"], ["0", "1"], ["2", "0"], ["6", "1"], ["5", "0"]]


def test_bulk_statistics(virtocid: Virtocid, linux_bridge: LinuxBridge, uuid: str) -> None:
    with virtocid.connect() as connection:
        domain = define_twice(connection, uuid, bridge=linux_bridge.name)
        off = connection.defineXML(placeholder_xml("other", str(uuid4())))
        domain.createWithFlags(0)
        virtocid.wait_for_output(NAME, "serving")
        everything = connection.getAllDomainStats(stats=MASK, flags=RUNNING_NOWAIT)
        assert [found.UUIDString() for found, _stats in everything] == [uuid]
        [(_domain, stats)] = connection.domainListGetStats([domain], stats=MASK, flags=0)
        assert stats.keys() == everything[0][1].keys()
        for key in ("cpu.time", "cpu.user", "cpu.system"):
            assert isinstance(stats[key], int)
        assert (stats["state.state"], stats["state.reason"]) == (1, 1)
        assert stats["balloon.current"] == stats["balloon.maximum"] == 65536
        assert 0 < stats["balloon.unused"] <= stats["balloon.available"] == 65536
        assert (stats["vcpu.current"], stats["vcpu.maximum"]) == (1, 16)
        assert stats["net.count"] == 1
        live = etree.fromstring(domain.XMLDesc(0))
        target = live.find("devices/interface/target")
        assert target is not None
        assert stats["net.0.name"] == target.get("dev")
        for key in ("rx.bytes", "rx.errs", "rx.drop", "tx.bytes", "tx.errs", "tx.drop"):
            assert isinstance(stats[f"net.0.{key}"], int)
        assert "block.count" in stats
        [(_off, nothing)] = connection.domainListGetStats([off], stats=MASK, flags=0)
        assert nothing["state.state"] == libvirt.VIR_DOMAIN_SHUTOFF
        with_chain = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING
        assert connection.domainListGetStats([domain], libvirt.VIR_DOMAIN_STATS_BLOCK, with_chain)


def test_the_sequence_survives_a_killed_daemon(virtocid: Virtocid, linux_bridge: LinuxBridge, uuid: str) -> None:
    """What Vdsm does at its own start: list, ask each for its metadata and state."""
    with virtocid.connect() as connection:
        domain = define_twice(connection, uuid, bridge=linux_bridge.name)
        domain.createWithFlags(0)
        before = domain.metadata(ELEMENT, OVIRT_VM_NAMESPACE)
    virtocid.restart()
    with virtocid.connect() as connection:
        [found] = connection.listAllDomains(0)
        assert (found.UUIDString(), found.state(0)[0]) == (uuid, libvirt.VIR_DOMAIN_RUNNING)
        assert found.metadata(ELEMENT, OVIRT_VM_NAMESPACE) == before
        assert found.controlInfo() == [libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0]
