# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every call that Vdsm makes, through the library it makes them with, and what each one gives.

A call whose procedure docs/conformance.md calls refused must fail with NO_SUPPORT, which Vdsm turns into "Operation
not supported". Once it is supported, what stands here of its answer must hold.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import libvirt
import libvirt_qemu
import pytest

from covirt.common.dialect import OVIRT_VM_NAMESPACE
from tests.support.network import new_linux_bridge
from tests.support.vdsm import final_xml, placeholder_xml
from tests.support.virtocid import Virtocid, domain_xml
from tools.conformance.table import Status, conformance

NAME: Final = "vm"
NONE: Final = "00000000-0000-4000-8000-000000000000"
ELEMENT: Final = libvirt.VIR_DOMAIN_METADATA_ELEMENT
STATS: Final = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_BLOCK
NIC: Final = "<interface type='bridge'><mac address='56:6f:e5:5d:00:09'/><source bridge='{}'/></interface>"

REFUSED: Final = frozenset(
    (row.listed.program, row.listed.function)
    for row in conformance()
    if row.status in (Status.REFUSED, Status.NOT_APPLICABLE)
)


@dataclass(frozen=True, slots=True)
class Place:
    """What the calls are made on: a running domain, and one that is only defined, with its image in a drive."""

    connection: Any
    domain: Any
    off: Any
    bridge: str


Shape = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Call:
    """``function`` is the C function; ``expected`` judges the answer, or is the code the call fails with."""

    function: str
    make: Callable[[Place], Any]
    expected: Shape | int
    program: str = "remote"


def done(answer: Any) -> bool:
    return answer in (0, None, True)


def yes(answer: Any) -> bool:
    return answer is True


def text(start: str) -> Shape:
    return lambda answer: isinstance(answer, str) and answer.startswith(start)


def equal(value: Any) -> Shape:
    return lambda answer: bool(answer == value)


def has(*keys: str) -> Shape:
    return lambda answer: isinstance(answer, dict) and set(keys) <= answer.keys()


def names(*expected: str) -> Shape:
    return lambda answer: sorted(item.name() for item in answer) == sorted(expected)


INVALID: Final = libvirt.VIR_ERR_OPERATION_INVALID
NO_SUPPORT: Final = libvirt.VIR_ERR_NO_SUPPORT
CONNECTION: Final = [
    Call("virDomainLookupByUUID", lambda on: on.connection.lookupByUUIDString(NONE), libvirt.VIR_ERR_NO_DOMAIN),
    Call("virDomainLookupByName", lambda on: on.connection.lookupByName("none"), libvirt.VIR_ERR_NO_DOMAIN),
    Call(
        "virDomainLookupByUUID",
        lambda on: on.connection.lookupByUUIDString(on.domain.UUIDString()).name(),
        equal(NAME),
    ),
    Call("virDomainLookupByID", lambda on: on.connection.lookupByID(on.domain.ID()).name(), equal(NAME)),
    Call("virConnectListAllDomains", lambda on: on.connection.listAllDomains(), names(NAME, "off")),
    Call(
        "virConnectListAllDomains",
        lambda on: on.connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED),
        names(),
    ),
    Call("virConnectListDomains", lambda on: on.connection.listDomainsID() == [on.domain.ID()], yes),
    Call(
        "virConnectGetAllDomainStats",
        lambda on: on.connection.getAllDomainStats(
            stats=STATS, flags=libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING
        )[0][1],
        has("state.state", "block.count"),
    ),
    Call(
        "virConnectGetAllDomainStats",
        lambda on: on.connection.domainListGetStats([on.domain], stats=STATS, flags=0)[0][1],
        has("state.state", "block.count"),
    ),
    Call("virConnectGetCapabilities", lambda on: on.connection.getCapabilities(), text("<capabilities>")),
    Call(
        "virConnectGetDomainCapabilities",
        lambda on: on.connection.getDomainCapabilities(None, "x86_64", None, "kvm", 0),
        text("<domainCapabilities>"),
    ),
    Call("virNodeGetMemoryStats", lambda on: on.connection.getMemoryStats(0, 0), has("total", "free")),
    Call("virNodeGetMemoryStats", lambda on: on.connection.getMemoryStats(-1), has("total", "free", "cached")),
    Call("virNodeGetFreePages", lambda on: on.connection.getFreePages([4], 0, 1)[0][4] > 0, yes),
    Call("virNodeGetInfo", lambda on: len(on.connection.getInfo()), equal(8)),
    Call("virNodeGetCPUStats", lambda on: on.connection.getCPUStats(-1), has("user", "kernel", "idle")),
    Call("virNodeGetCPUMap", lambda on: on.connection.getCPUMap()[0] > 0, yes),
    Call("virNodeGetFreeMemory", lambda on: on.connection.getFreeMemory() > 0, yes),
    Call("virNodeGetCellsFreeMemory", lambda on: len(on.connection.getCellsFreeMemory(0, 1)), equal(1)),
    Call("virNodeGetSecurityModel", lambda on: on.connection.getSecurityModel(), equal(["", ""])),
    Call("virConnectGetHostname", lambda on: on.connection.getHostname(), text("")),
    Call("virConnectGetLibVersion", lambda on: on.connection.getLibVersion() >= 9_000_000, yes),
    Call("virConnectGetType", lambda on: on.connection.getType(), equal("OCI")),
    Call("virConnectListAllNetworks", lambda on: on.connection.listAllNetworks(0), NO_SUPPORT),
    Call("virNetworkDefineXML", lambda on: on.connection.networkDefineXML("<network/>"), NO_SUPPORT),
    Call("virNetworkLookupByName", lambda on: on.connection.networkLookupByName("net"), NO_SUPPORT),
    Call("virConnectListAllNodeDevices", lambda on: on.connection.listAllDevices(0), NO_SUPPORT),
    Call("virNodeDeviceLookupByName", lambda on: on.connection.nodeDeviceLookupByName("pci"), NO_SUPPORT),
    Call("virSecretDefineXML", lambda on: on.connection.secretDefineXML("<x/>"), libvirt.VIR_ERR_XML_ERROR),
    Call("virSecretLookupByUUID", lambda on: on.connection.secretLookupByUUIDString(NONE), libvirt.VIR_ERR_NO_SECRET),
    Call("virConnectListAllSecrets", lambda on: on.connection.listAllSecrets(), equal([])),
    Call("virDomainRestoreFlags", lambda on: on.connection.restoreFlags("/none", None, 0), NO_SUPPORT),
    Call("virDomainSaveImageGetXMLDesc", lambda on: on.connection.saveImageGetXMLDesc("/none"), NO_SUPPORT),
    Call("virConnectBaselineCPU", lambda on: on.connection.baselineCPU(["<cpu/>"]), NO_SUPPORT),
]
FACTS: Final = [
    Call("virDomainGetXMLDesc", lambda on: on.domain.XMLDesc(), text("<domain type='oci' id=")),
    Call(
        "virDomainGetXMLDesc", lambda on: on.domain.XMLDesc(flags=libvirt.VIR_DOMAIN_XML_MIGRATABLE), text("<domain")
    ),
    Call("virDomainGetXMLDesc", lambda on: on.domain.XMLDesc(flags=libvirt.VIR_DOMAIN_XML_SECURE), text("<domain")),
    Call("virDomainGetState", lambda on: on.domain.state(0), equal([1, 1])),
    Call("virDomainGetState", lambda on: on.off.state(0), equal([5, 0])),
    Call("virDomainGetInfo", lambda on: on.domain.info()[:4], equal([1, 65536, 65536, 1])),
    Call("virDomainGetControlInfo", lambda on: on.domain.controlInfo(), equal([0, 0, 0])),
    Call("virDomainGetControlInfo", lambda on: on.off.controlInfo(), INVALID),
    Call("virDomainIsPersistent", lambda on: on.domain.isPersistent(), equal(1)),
    Call("virDomainGetMetadata", lambda on: on.domain.metadata(ELEMENT, OVIRT_VM_NAMESPACE, 0), text("<vm>")),
    Call(
        "virDomainGetMetadata",
        lambda on: on.domain.metadata(ELEMENT, "urn:none", 0),
        libvirt.VIR_ERR_NO_DOMAIN_METADATA,
    ),
    Call("virDomainSetMetadata", lambda on: on.domain.setMetadata(ELEMENT, "<a/>", "a", "urn:a", 0), done),
    Call(
        "virDomainGetSchedulerParameters",
        lambda on: on.domain.schedulerParameters(),
        has("vcpu_quota", "vcpu_period"),
    ),
    Call("virDomainGetVcpus", lambda on: len(on.domain.vcpus()[0]), equal(1)),
    Call("virDomainGetBlockInfo", lambda on: len(on.off.blockInfo("hda", 0)), equal(3)),
    Call("virDomainGetBlockJobInfo", lambda on: on.domain.blockJobInfo("sdc"), equal({})),
    Call("virDomainGetBlockJobInfo", lambda on: on.domain.blockJobInfo("sdc", 0), equal({})),
    Call("virDomainGetDiskErrors", lambda on: on.domain.diskErrors(), equal({})),
    Call("virDomainGetJobStats", lambda on: on.domain.jobStats(), equal({"type": libvirt.VIR_DOMAIN_JOB_NONE})),
    Call("virDomainGetJobInfo", lambda on: on.domain.jobInfo()[0], equal(libvirt.VIR_DOMAIN_JOB_NONE)),
    Call("virDomainBackupGetXMLDesc", lambda on: on.domain.backupGetXMLDesc(), libvirt.VIR_ERR_NO_DOMAIN_BACKUP),
    Call("virDomainHasManagedSaveImage", lambda on: on.domain.hasManagedSaveImage(), equal(0)),
    Call("virDomainHasCurrentSnapshot", lambda on: on.domain.hasCurrentSnapshot(), equal(0)),
    Call("virDomainSnapshotNum", lambda on: on.domain.snapshotNum(), equal(0)),
    Call("virDomainListAllCheckpoints", lambda on: on.domain.listAllCheckpoints(), equal([])),
    Call(
        "virDomainGetBlockIoTune",
        lambda on: on.domain.blockIoTune("sdc", libvirt.VIR_DOMAIN_AFFECT_LIVE),
        has("total_bytes_sec"),
    ),
]
CHANGES: Final = [
    Call("virDomainCreateWithFlags", lambda on: on.domain.createWithFlags(0), INVALID),
    Call("virDomainResume", lambda on: on.domain.resume(), INVALID),
    Call("virDomainSuspend", lambda on: on.domain.suspend(), done),
    Call("virDomainResume", lambda on: on.domain.resume(), done),
    Call(
        "virDomainSetSchedulerParameters",
        lambda on: on.domain.setSchedulerParameters({"vcpu_quota": 50000, "vcpu_period": 100000}),
        done,
    ),
    Call("virDomainSetSchedulerParameters", lambda on: on.domain.setSchedulerParameters({"vcpu_quota": -1}), done),
    Call(
        "virDomainPinVcpu",
        lambda on: on.domain.pinVcpu(0, (True, *[False] * (on.connection.getCPUMap()[0] - 1))),
        done,
    ),
    Call("virDomainSetVcpusFlags", lambda on: on.domain.setVcpusFlags(1, libvirt.VIR_DOMAIN_AFFECT_CURRENT), done),
    Call("virDomainSetMemory", lambda on: on.domain.setMemory(60000), done),
    Call("virDomainAttachDevice", lambda on: on.domain.attachDevice(NIC.format(on.bridge)), done),
    Call(
        "virDomainUpdateDeviceFlags",
        lambda on: on.domain.updateDeviceFlags(
            NIC.format(on.bridge).replace("<source", "<link state='down'/><source"), libvirt.VIR_DOMAIN_AFFECT_LIVE
        ),
        done,
    ),
    Call("virDomainDetachDevice", lambda on: on.domain.detachDevice(NIC.format(on.bridge)), done),
    Call("virDomainAbortJob", lambda on: on.domain.abortJob(), INVALID),
]
AGENT: Final = [
    Call("virDomainFSFreeze", lambda on: on.domain.fsFreeze(), NO_SUPPORT),
    Call("virDomainFSThaw", lambda on: on.domain.fsThaw(), NO_SUPPORT),
    Call("virDomainSetTime", lambda on: on.domain.setTime(time={"seconds": 1, "nseconds": 0}, flags=0), NO_SUPPORT),
    # The library gives None for any error of this call.
    Call(
        "", lambda on: on.domain.guestVcpus(), lambda answer: answer is None or {"vcpus", "online"} <= answer.keys()
    ),
    Call(
        "virDomainGetGuestInfo",
        lambda on: on.domain.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME, 0),
        has("hostname"),
    ),
    Call("virDomainAgentSetResponseTimeout", lambda on: on.domain.agentSetResponseTimeout(10, 0), done),
    Call(
        "virDomainQemuAgentCommand",
        lambda on: libvirt_qemu.qemuAgentCommand(on.domain, '{"execute":"guest-ping"}', 5, 0),
        equal('{"return":{}}'),
        "qemu",
    ),
    Call(
        "virDomainInterfaceAddresses",
        lambda on: on.domain.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE),
        lambda answer: isinstance(answer, dict),
    ),
]
REFUSALS: Final = [
    Call("virDomainSave", lambda on: on.domain.save("/none"), NO_SUPPORT),
    Call("virDomainBlockJobAbort", lambda on: on.domain.blockJobAbort("sdc", 0), NO_SUPPORT),
    Call("virDomainBlockCommit", lambda on: on.domain.blockCommit("sdc", None, None), NO_SUPPORT),
    Call("virDomainBlockCopy", lambda on: on.domain.blockCopy("sdc", "<disk/>"), NO_SUPPORT),
    Call(
        "virDomainBlockResize",
        lambda on: on.domain.blockResize("sdc", 1 << 30, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES),
        NO_SUPPORT,
    ),
    Call("virDomainSetBlockThreshold", lambda on: on.domain.setBlockThreshold("sdc", 1, 0), NO_SUPPORT),
    Call("virDomainMigrateSetMaxSpeed", lambda on: on.domain.migrateSetMaxSpeed(1), NO_SUPPORT),
    Call("virDomainMigrateSetMaxDowntime", lambda on: on.domain.migrateSetMaxDowntime(1), NO_SUPPORT),
    Call("virDomainMigrateStartPostCopy", lambda on: on.domain.migrateStartPostCopy(), NO_SUPPORT),
    Call(  # the library asks the daemon for this feature, and says so itself
        "virDomainMigrateToURI3",
        lambda on: on.domain.migrateToURI3(
            "qemu+tcp://other/system", {}, libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER
        ),
        libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
    ),
    Call("virDomainSnapshotCreateXML", lambda on: on.domain.snapshotCreateXML("<domainsnapshot/>"), NO_SUPPORT),
    Call("virDomainBackupBegin", lambda on: on.domain.backupBegin("<domainbackup/>", None), NO_SUPPORT),
    Call("virDomainCheckpointCreateXML", lambda on: on.domain.checkpointCreateXML("<domaincheckpoint/>"), NO_SUPPORT),
    Call("virDomainScreenshot", lambda on: on.domain.screenshot(on.connection.newStream(), 0), NO_SUPPORT),
]
# Which end it, so they come last.
ENDS: Final = [
    Call("virDomainReset", lambda on: on.domain.reset(0), done),
    Call("virDomainDestroyFlags", lambda on: on.domain.destroyFlags(0), done),
    Call("virDomainDestroy", lambda on: on.domain.destroy(), INVALID),
    Call(
        "virDomainShutdownFlags",
        lambda on: on.domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN),
        INVALID,
    ),
    Call("virDomainReboot", lambda on: on.domain.reboot(libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN), INVALID),
    Call("virDomainUndefineFlags", lambda on: on.domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM), done),
]


@pytest.fixture(scope="module")
def place(virtocid_daemon: Virtocid) -> Iterator[Place]:
    uuid = str(uuid4())
    with (
        new_linux_bridge() as bridge,
        virtocid_daemon.used_by_a_test() as virtocid,
        virtocid.connect() as connection,
    ):
        connection.defineXML(placeholder_xml(NAME, uuid))
        domain = connection.defineXML(final_xml(NAME, uuid, bridge=bridge.name))
        domain.createWithFlags(0)
        virtocid.wait_for_output(NAME, "serving")
        drive = (
            f"<disk type='file' device='cdrom'><source file='{virtocid.image}'/><target dev='hda'/><readonly/></disk>"
        )
        off = connection.defineXML(domain_xml("off", image="", devices=drive))
        yield Place(connection, domain, off, bridge.name)


def check(call: Call, on: Place) -> None:
    expected = NO_SUPPORT if (call.program, call.function) in REFUSED else call.expected
    if isinstance(expected, int):
        with pytest.raises(libvirt.libvirtError) as caught:
            call.make(on)
        assert caught.value.get_error_code() == expected, caught.value
        return
    answer = call.make(on)
    assert expected(answer), answer


def ids(calls: list[Call]) -> list[str]:
    return [call.function or "virDomainGetGuestVcpus" for call in calls]


@pytest.mark.parametrize("call", CONNECTION, ids=ids(CONNECTION))
def test_of_the_connection(place: Place, call: Call) -> None:
    check(call, place)


@pytest.mark.parametrize("call", FACTS, ids=ids(FACTS))
def test_facts_of_a_domain(place: Place, call: Call) -> None:
    check(call, place)


def test_changes_of_a_domain(place: Place) -> None:
    """In this order: what is attached is detached again."""
    for call in CHANGES:
        check(call, place)


@pytest.mark.parametrize("call", AGENT, ids=ids(AGENT))
def test_what_goes_through_an_agent(place: Place, call: Call) -> None:
    check(call, place)


@pytest.mark.parametrize("call", REFUSALS, ids=ids(REFUSALS))
def test_what_a_container_cannot_do(place: Place, call: Call) -> None:
    check(call, place)


def test_ends(place: Place) -> None:
    """In this order, and last in this file."""
    for call in ENDS:
        check(call, place)
