# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What VM.create gets becomes what is defined, with its volumes held; and they are given back."""

import pytest

from covirt.common.undo import undo_on_failure
from covirt.host.virt.container_config import ContainersConfig
from covirt.host.virt.container_errors import ContainersUnavailable
from covirt.host.virt.container_support import ContainerSupport
from covirt.host.virt.document import read_xml
from covirt.host.virt.machine_xml import MachineHost
from covirt.host.virt.preparation import Preparation, held_references
from covirt.host.virt.volumes import VolumeRef
from tests.support.fake_volumes import FakeVolumes
from tests.unit.host.virt.test_container_support import CAPABILITIES
from tests.unit.host.virt.test_container_xml import engine_xml
from tests.unit.host.virt.test_disk_references import DISK, DOMAIN, IMAGE, POOL, REF, VOLUME, pdiv

KNOWN = f'<ovirt-vm:device devtype="disk" name="vda">{pdiv()}</ovirt-vm:device>'
PATH = f"/rhev/data-center/{POOL}/{DOMAIN}/images/{IMAGE}/{VOLUME}"
HOST = MachineHost(kvm_works=False, display_address="127.0.0.1", closed_password="closed")  # noqa: S106


def preparation(volumes: FakeVolumes, *, enabled: bool = True) -> Preparation:
    containers = ContainerSupport(ContainersConfig(enabled=enabled))
    containers.set_present(CAPABILITIES)
    return Preparation(volumes=volumes, containers=containers, machine_host=lambda: HOST)


def machine_xml(disk: str, *, known: str = "") -> str:
    return engine_xml(disk).replace("</ovirt-vm:vm>", f"{known}</ovirt-vm:vm>")


@pytest.mark.parametrize("xml", [machine_xml(DISK, known=KNOWN), machine_xml(DISK.replace("/x", PATH))])
@pytest.mark.parametrize("is_container", [False, True])
def test_volumes_are_held_and_given_back(xml: str, is_container: bool) -> None:
    volumes = FakeVolumes({REF: "/mnt/volume"})
    part = preparation(volumes)
    xml = xml.replace("<ovirt-vm:custom>", "<ovirt-vm:custom><ovirt-vm:containerImage>web</ovirt-vm:containerImage>")
    part.check(xml, is_container=is_container)
    assert volumes.history == []
    with undo_on_failure() as undo:
        definition = part.prepare(xml, vm_id="vm", is_container=is_container, undo=undo)
    root = read_xml(definition)
    source = root.find("devices/disk/source")
    assert source is not None
    assert source.get("file") == "/mnt/volume"
    assert root.get("type") == ("oci" if is_container else "qemu")
    assert (held_references(root), volumes.users) == ([REF], {REF: {"vm"}})
    part.release(definition, vm_id="vm")
    assert volumes.users == {}


def test_what_no_disk_shows_any_more_is_given_back_too() -> None:
    root = read_xml(machine_xml("", known=KNOWN.replace("vda", "sdc")))
    assert held_references(root) == [REF]


def test_storage_that_is_away_stops_no_release() -> None:
    class Broken(FakeVolumes):
        def teardown(self, ref: VolumeRef, *, user: str) -> None:
            super().teardown(ref, user=user)
            raise ContainersUnavailable(reason="storage is away")

    volumes = Broken({})
    preparation(volumes).release(machine_xml(DISK, known=KNOWN), vm_id="vm")
    assert volumes.history == [("teardown", REF)]


def test_a_container_is_refused_where_there_are_none() -> None:
    part = preparation(FakeVolumes({}), enabled=False)
    xml = engine_xml(containerType="docker", containerImage="web")
    with pytest.raises(ContainersUnavailable):
        part.check(xml, is_container=True)
    part.check(engine_xml(), is_container=False)
