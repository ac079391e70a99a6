# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What VM.create gets becomes what is defined, with its volumes held."""

import pytest

from covirt.common.undo import undo_on_failure
from covirt.host.virt.container_config import ContainersConfig
from covirt.host.virt.container_errors import BadContainerProperty, ContainersUnavailable, RuntimeRefused
from covirt.host.virt.container_support import ContainerSupport
from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.errors import NoPayloads
from covirt.host.virt.kinds import Kind, kind_of
from covirt.host.virt.machine_xml import MachineHost
from covirt.host.virt.ovirt_metadata import read_vm_facts
from covirt.host.virt.preparation import Preparation
from tests.support.engine_xml import DRIVE, payload_facts
from tests.support.fake_volumes import FakeVolumes
from tests.unit.host.virt.test_container_support import CAPABILITIES
from tests.unit.host.virt.test_container_xml import engine_xml
from tests.unit.host.virt.test_disk_references import DISK, DOMAIN, IMAGE, POOL, REF, VOLUME, pdiv

KNOWN = f'<ovirt-vm:device devtype="disk" name="vda">{pdiv()}</ovirt-vm:device>'
PATH = f"/rhev/data-center/{POOL}/{DOMAIN}/images/{IMAGE}/{VOLUME}"
IMAGE_PROPERTY = "<ovirt-vm:containerImage>web</ovirt-vm:containerImage>"
HOST = MachineHost(kvm_works=False, display_address="127.0.0.1", closed_password="closed")  # noqa: S106


def preparation(volumes: FakeVolumes, *, enabled: bool = True) -> Preparation:
    containers = ContainerSupport(ContainersConfig(enabled=enabled))
    containers.set_present(CAPABILITIES)
    return Preparation(volumes=volumes, containers=containers, machine_host=lambda: HOST)


def machine_xml(disk: str, *, known: str = "") -> str:
    return engine_xml(disk).replace("</ovirt-vm:vm>", f"{known}</ovirt-vm:vm>")


@pytest.mark.parametrize("xml", [machine_xml(DISK, known=KNOWN), machine_xml(DISK.replace("/x", PATH))])
@pytest.mark.parametrize("kind", list(Kind))
def test_volumes_are_held(xml: str, kind: Kind) -> None:
    volumes = FakeVolumes({REF: "/mnt/volume"})
    part = preparation(volumes)
    root = read_xml(xml.replace("<ovirt-vm:custom>", f"<ovirt-vm:custom>{IMAGE_PROPERTY}"))
    before = write_xml(root)
    part.check(root, kind)
    assert (volumes.history, write_xml(root)) == ([], before)
    with undo_on_failure() as undo:
        assert part.prepare(root, kind, vm_id="vm", undo=undo) == (REF,)
    source = root.find("devices/disk/source")
    assert source is not None
    assert source.get("file") == "/mnt/volume"
    assert root.get("type") == ("oci" if kind is Kind.CONTAINER else "qemu")
    assert volumes.users == {REF: {"vm"}}
    known = read_vm_facts(root).device(devtype="disk", name="vda")
    assert known is not None
    assert known.values["imageID"] == IMAGE


@pytest.mark.parametrize("runtime", ["", "kata"])
def test_no_runtime_of_this_host(runtime: str) -> None:
    root = read_xml(engine_xml(containerType=runtime, containerImage="web"))
    assert kind_of(root, read_vm_facts(root)) is Kind.CONTAINER
    with pytest.raises((BadContainerProperty, RuntimeRefused)) as refused:
        preparation(FakeVolumes({})).check(root, Kind.CONTAINER)
    assert ("containerType" if not runtime else "kata") in str(refused.value)


def test_a_container_is_refused_where_there_are_none() -> None:
    part = preparation(FakeVolumes({}), enabled=False)
    root = read_xml(engine_xml(containerType="docker", containerImage="web"))
    with pytest.raises(ContainersUnavailable):
        part.check(root, Kind.CONTAINER)
    part.check(read_xml(engine_xml()), Kind.MACHINE)


def test_files_that_an_engine_sends_along_are_for_machines() -> None:
    root = read_xml(machine_xml(DRIVE, known=payload_facts({"meta-data": b"{}"})))
    preparation(FakeVolumes({})).check(root, Kind.MACHINE)
    with pytest.raises(NoPayloads, match="the drive hdd is to hold files"):
        preparation(FakeVolumes({})).check(root, Kind.CONTAINER)
