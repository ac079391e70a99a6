# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The add-on for a stock Vdsm, between libvirtd with QEMU and virtocid; a small driver makes Vdsm's calls."""

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import libvirt
import pytest
from lxml import etree

from tests.support.hotplug import container_pid
from tests.support.libvirtd import Libvirtd
from tests.support.network import LinuxBridge
from tests.support.vdsm import final_xml
from tests.support.vdsm_addon import Failed, Refused, VdsmDriver, driving
from tests.support.virtocid import SECONDS, SERVICE, Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.runc, pytest.mark.qemu]

RUNNING: Final = libvirt.VIR_DOMAIN_RUNNING
PAUSED: Final = libvirt.VIR_DOMAIN_PAUSED
SHUTOFF: Final = libvirt.VIR_DOMAIN_SHUTOFF
STOPPED: Final = libvirt.VIR_DOMAIN_EVENT_STOPPED
CUSTOM: Final = {
    "containerType": "docker",
    "containerImage": "docker://busybox",
    "containerCommand": json.dumps(SERVICE),
    "containerEnvironment": '{"GREETING": "a\\u003bb"}',
}


def machine_xml(name: str, uuid: str) -> str:
    return f"""<domain type='qemu' xmlns:ovirt-vm='http://ovirt.org/vm/1.0'><name>{name}</name><uuid>{uuid}</uuid>
<memory unit='MiB'>32</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>
<metadata><ovirt-vm:vm><ovirt-vm:clusterVersion>4.7</ovirt-vm:clusterVersion></ovirt-vm:vm></metadata>
<devices><memballoon model='virtio'/></devices></domain>"""


def engine_xml(name: str, uuid: str, bridge: LinuxBridge) -> str:
    """What an engine sends: the container is in nothing but the custom properties."""
    whole = final_xml(name, uuid, bridge=bridge.name, command=())
    return re.sub(r"<ovirtcnt:container.*</ovirtcnt:container>", "", whole, flags=re.DOTALL)


@pytest.fixture(scope="module")
def driver_module(
    tmp_path_factory: pytest.TempPathFactory, libvirtd: Libvirtd, virtocid_daemon: Virtocid
) -> Iterator[VdsmDriver]:
    with driving(virtocid_daemon.uri, tmp_path_factory.mktemp("vdsm")) as running:
        yield running


@pytest.fixture
def driver(driver_module: VdsmDriver, virtocid: Virtocid, libvirtd: Libvirtd) -> Iterator[VdsmDriver]:
    wait_until(lambda: bool(driver_module.tell("reachable")), timeout_seconds=SECONDS, what="the way to virtocid")
    yield driver_module
    for uuid in libvirtd.virsh("list", "--all", "--uuid").stdout.decode().split():
        libvirtd.virsh("destroy", uuid, check=False)
        libvirtd.virsh("undefine", uuid)


@pytest.fixture
def machine(driver: VdsmDriver) -> str:
    uuid = str(uuid4())
    driver.tell("create", uuid, "machine", machine_xml("machine", uuid), {})
    return uuid


def new_container(driver: VdsmDriver, bridge: LinuxBridge, name: str = "web", **more: str) -> str:
    uuid = str(uuid4())
    driver.tell("create", uuid, name, engine_xml(name, uuid, bridge), {**CUSTOM, **more})
    return uuid


@pytest.fixture
def container(driver: VdsmDriver, linux_bridge: LinuxBridge, virtocid: Virtocid) -> str:
    uuid = new_container(driver, linux_bridge)
    virtocid.wait_for_output("web", "serving")
    return uuid


def machines(libvirtd: Libvirtd) -> list[str]:
    return libvirtd.virsh("list", "--all", "--name").stdout.decode().split()


def test_a_machine_and_two_containers(
    driver: VdsmDriver,
    machine: str,
    container: str,
    linux_bridge: LinuxBridge,
    virtocid: Virtocid,
    libvirtd: Libvirtd,
) -> None:
    assert driver.tell("kind") == "Composite"
    other = new_container(driver, linux_bridge, "other")
    # The placeholders that Vdsm defined on libvirt's side are gone.
    assert machines(libvirtd) == ["machine"]
    assert sorted(virtocid.tell("list", "--all", "--name").split()) == ["other", "web"]
    assert driver.tell("recover") == {
        machine: ["machine", RUNNING],
        container: ["web", RUNNING],
        other: ["other", RUNNING],
    }
    stats = driver.tell("sample")["stats"]
    assert stats.keys() == {machine, container, other}
    assert all(each["cpu.time"] > 0 and "balloon.current" in each for each in stats.values())
    assert driver.tell("sample_of", [machine, other]).keys() == {machine, other}
    assert driver.tell("lookup", container) == "web"
    for uuid in (machine, container):
        driver.call(uuid, "suspend")
        assert driver.call(uuid, "state", 0)[0] == PAUSED
        driver.call(uuid, "resume")
        driver.wait_for_lifecycle(uuid, libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
        driver.call(uuid, "reset", 0)
        assert driver.call(uuid, "state", 0)[0] == RUNNING
    virtocid.wait_for_output("other", "serving")
    driver.call(other, "shutdownFlags", libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
    driver.wait_for_lifecycle(other, STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
    for uuid in (machine, container, other):
        driver.tell("destroy", uuid)
    assert driver.tell("recover") == {}
    assert machines(libvirtd) == []
    assert virtocid.tell("list", "--all", "--name") == ""


def test_what_the_properties_say_reaches_the_container(
    driver: VdsmDriver, container: str, virtocid: Virtocid
) -> None:
    assert virtocid.exec("web", "--", "/bin/sh", "-c", "echo $GREETING").stdout == b"a;b\n"


def disk(path: Path, target: str, serial: str) -> str:
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/>"
        f"<target dev='{target}' bus='virtio'/><serial>{serial}</serial></disk>"
    )


def test_image_and_volumes_are_disks_of_the_machine(
    driver: VdsmDriver, linux_bridge: LinuxBridge, virtocid: Virtocid, open_dir: Path
) -> None:
    data, later, image_id = open_dir / "data.raw", open_dir / "later.raw", str(uuid4())
    for path in (data, later):
        path.touch()
        os.truncate(path, 16 << 20)
    uuid = str(uuid4())
    given = disk(virtocid.image, "vda", image_id) + disk(data, "vdb", str(uuid4()))
    xml = engine_xml("web", uuid, linux_bridge).replace("</devices>", f"{given}</devices>")
    volumes = "data:vdb,vdc:/srv/later"  # the second is plugged in while it runs
    driver.tell("create", uuid, "web", xml, {**CUSTOM, "containerImage": image_id, "volumeMap": volumes})
    driver.call(uuid, "attachDevice", disk(later, "vdc", str(uuid4())))
    disks = etree.fromstring(driver.call(uuid, "XMLDesc", 0)).findall("devices/disk")
    assert all(each.find("address") is not None for each in disks)
    written = virtocid.exec("web", "--", "/bin/sh", "-c", "touch /data/a /srv/later/b && mount | grep -c ext4")
    assert written.stdout == b"2\n", written
    driver.call(uuid, "detachDevice", disk(later, "vdc", str(uuid4())))
    assert virtocid.exec("web", "--", "/bin/ls", "/srv/later").stdout == b""


def test_what_a_container_cannot_do_changes_nothing(driver: VdsmDriver, container: str) -> None:
    before = driver.call(container, "XMLDesc", 0)
    with pytest.raises(Refused, match="a container stays on its host"):
        driver.tell("migrate", container)
    for method, arguments in (
        ("migrateToURI3", ("qemu+tls://other/system", {}, libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER)),
        ("save", ("/tmp/saved",)),
        ("snapshotCreateXML", ("<domainsnapshot/>", 0)),
    ):
        with pytest.raises(Failed) as caught:
            driver.call(container, method, *arguments)
        # libvirt's client itself has the second, for a migration.
        assert caught.value.code in (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED), method
    assert driver.call(container, "XMLDesc", 0) == before


def test_an_interface_comes_and_goes(driver: VdsmDriver, container: str, linux_bridge: LinuxBridge) -> None:
    nic = (
        f"<interface type='bridge'><mac address='56:6f:e5:5d:00:99'/><source bridge='{linux_bridge.name}'/>"
        "<alias name='ua-second'/></interface>"
    )
    driver.call(container, "attachDevice", nic)
    assert "56:6f:e5:5d:00:99" in driver.call(container, "XMLDesc", 0)
    driver.call(container, "detachDevice", nic)
    removed = [libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, container, "ua-second"]
    wait_until(lambda: removed in driver.heard(container), timeout_seconds=SECONDS, what="the event of the removal")


@contextmanager
def stuck(virtocid: Virtocid) -> Iterator[None]:
    os.kill(virtocid.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(virtocid.pid, signal.SIGCONT)


def test_a_stuck_virtocid_delays_no_machine(
    driver: VdsmDriver, machine: str, container: str, virtocid: Virtocid
) -> None:
    def answers() -> bool:
        return bool(driver.call(container, "state", 0)[0] == RUNNING)

    assert answers()
    last = driver.tell("sample")["stats"][container]
    with stuck(virtocid):
        first = driver.tell("sample")
        assert first["stats"][container] == last  # the last one
        assert machine in first["stats"]
        for _ in range(5):  # from now on nobody waits at all
            assert machine in driver.tell("sample")["stats"]
        assert driver.tell("recover").keys() == {machine}
        with pytest.raises(Failed) as caught:
            driver.call(container, "state", 0)
        assert caught.value.code == libvirt.VIR_ERR_OPERATION_TIMEOUT
        driver.call(machine, "suspend")
        driver.call(machine, "resume")
    wait_until(lambda: works(answers), timeout_seconds=SECONDS, what="an answer of virtocid")


def test_a_killed_virtocid_is_found_again(
    driver: VdsmDriver, machine: str, container: str, linux_bridge: LinuxBridge, virtocid: Virtocid
) -> None:
    other = new_container(driver, linux_bridge, "other")
    virtocid.wait_for_output("other", "serving")
    inside = container_pid(virtocid, "other")
    virtocid.kill()
    os.kill(inside, signal.SIGTERM)
    for uuid in (container, other):
        with pytest.raises(Failed) as caught:
            driver.call(uuid, "state", 0)
        assert caught.value.code == libvirt.VIR_ERR_OPERATION_TIMEOUT
    assert machine in driver.tell("sample")["stats"]
    with pytest.raises(Failed) as caught:
        new_container(driver, linux_bridge, "third")
    assert caught.value.code == libvirt.VIR_ERR_OPERATION_TIMEOUT
    virtocid.start()
    # What happened meanwhile is told, as an end by itself.
    driver.wait_for_lifecycle(other, STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
    shutdown = (libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST)
    assert shutdown in driver.lifecycle(other)
    # The very objects that Vdsm holds work again.
    assert driver.call(container, "state", 0)[0] == RUNNING
    driver.call(container, "suspend")
    driver.wait_for_lifecycle(
        container, libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED
    )


def test_a_killed_vdsm_finds_everything_again(
    driver: VdsmDriver, machine: str, linux_bridge: LinuxBridge, open_dir: Path
) -> None:
    with driving(driver.uri, open_dir) as killed:
        container = new_container(killed, linux_bridge)
        killed.restart()
        assert killed.tell("recover") == {machine: ["machine", RUNNING], container: ["web", RUNNING]}
        assert killed.heard(container) == []  # nothing is new to it
        killed.call(container, "suspend")
        killed.wait_for_lifecycle(
            container, libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED
        )
        killed.tell("destroy", container)
        assert killed.tell("recover").keys() == {machine}


def test_an_absent_container_costs_the_others_no_statistics(
    driver: VdsmDriver, machine: str, container: str, linux_bridge: LinuxBridge
) -> None:
    other = new_container(driver, linux_bridge, "other")
    driver.tell("destroy", other)
    assert driver.tell("sample_of", [machine, container, other]).keys() == {machine, container}


def test_a_vdsm_that_starts_before_virtocid_hears_of_its_containers(
    driver: VdsmDriver, container: str, virtocid: Virtocid, open_dir: Path
) -> None:
    virtocid.kill()
    with driving(driver.uri, open_dir) as early:
        assert early.tell("recover") == {}
        virtocid.start()
        early.wait_for_lifecycle(container, libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED)
        assert early.tell("lookup", container) == "web"


def test_a_placeholder_that_a_killed_vdsm_left_is_hidden(
    driver: VdsmDriver, container: str, libvirtd: Libvirtd
) -> None:
    xml = f"""<domain type='qemu'><name>web</name><uuid>{container}</uuid><memory>65536</memory>
        <os><type arch='x86_64'>hvm</type></os></domain>"""
    connection = libvirt.open(libvirtd.uri)
    connection.defineXML(xml)
    connection.close()
    assert driver.tell("recover") == {container: ["web", RUNNING]}
    assert driver.tell("lookup", container) == "web"
    driver.tell("destroy", container)


def test_a_container_that_starts_again_is_told_as_a_reboot(
    driver: VdsmDriver, linux_bridge: LinuxBridge, virtocid: Virtocid
) -> None:
    uuid = new_container(driver, linux_bridge, containerRestart="always")
    virtocid.wait_for_output("web", "serving")
    os.kill(container_pid(virtocid, "web"), signal.SIGTERM)
    reboot = [libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, uuid]
    wait_until(lambda: reboot in driver.heard(uuid), timeout_seconds=SECONDS, what="the reboot")
    wait_until(lambda: driver.call(uuid, "state", 0)[0] == RUNNING, timeout_seconds=SECONDS, what="the next run")
    assert STOPPED not in [event for event, _detail in driver.lifecycle(uuid)]
    virtocid.wait_for_output("web", "serving")
    driver.tell("destroy", uuid)  # a user's stop always wins
    driver.wait_for_lifecycle(uuid, STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)


def test_capabilities_are_told_when_they_are_there(driver: VdsmDriver, virtocid: Virtocid, open_dir: Path) -> None:
    told = driver.tell("capabilities")
    assert told["containers"] is True
    assert told["containerRuntimes"]["runc"]["usable"] is True
    assert told["additionalFeatures"] == ["libgfapi_supported", "CONTAINERS"]
    virtocid.kill()
    plain = {"kvmEnabled": "true", "additionalFeatures": ["libgfapi_supported"]}
    assert driver.tell("capabilities") == plain
    with driving(virtocid.uri, open_dir, enabled=False) as off:
        assert off.tell("capabilities") == plain


def test_a_host_without_containers_refuses_them(
    driver: VdsmDriver, linux_bridge: LinuxBridge, open_dir: Path, libvirtd: Libvirtd
) -> None:
    uuid = str(uuid4())
    xml = engine_xml("web", uuid, linux_bridge)
    for number, (enabled, addon, why) in enumerate(
        ((False, True, "not enabled"), (True, False, "not part of the running Vdsm"))
    ):
        directory = open_dir / str(number)
        directory.mkdir()
        with driving(driver.uri, directory, enabled=enabled, addon=addon) as plain:
            assert plain.tell("kind") == "virConnect"
            with pytest.raises(Refused, match=why):
                plain.tell("create", uuid, "web", xml, CUSTOM)
            other, name = str(uuid4()), f"machine{number}"
            plain.tell("create", other, name, machine_xml(name, other), {})
    assert "active" not in libvirtd.virsh("domstate", "web").stdout.decode()


def test_properties_that_cannot_be_used_are_named(driver: VdsmDriver, linux_bridge: LinuxBridge) -> None:
    with pytest.raises(Refused, match="containerRestart: 'sometimes' is none of"):
        new_container(driver, linux_bridge, containerRestart="sometimes")
    with pytest.raises(Refused, match="containerImage: '/etc/shadow' is neither"):
        new_container(driver, linux_bridge, containerImage="/etc/shadow")


def works(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except Failed:
        return False
