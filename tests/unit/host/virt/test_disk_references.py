# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks of an engine's XML get the files of the volumes they name."""

import pytest
from lxml import etree

from covirt.common.errors import NotFound
from covirt.common.undo import undo_on_failure
from covirt.host.virt.disk_references import BadVolumeReference, DiskReference, find_references, prepare_references
from covirt.host.virt.document import read_xml
from covirt.host.virt.ovirt_metadata import read_vm_facts
from covirt.host.virt.volumes import VolumeRef
from tests.support.fake_volumes import FakeVolumes

POOL = "5849b030-626e-47cb-ad90-3ce782d831b3"
DOMAIN = "5e6b0e2f-3b0f-4c4d-8c5e-7c1a0a4b5a11"
IMAGE = "8a3c1a5e-54b1-4a5b-9f0b-1f1c0f6d2a22"
VOLUME = "0f3b0c1e-7a8d-4a58-9d83-2f6b3c4d5e33"
REF = VolumeRef(pool_id=POOL, domain_id=DOMAIN, image_id=IMAGE, volume_id=VOLUME)


def pdiv(volume: str = VOLUME, *, domain: str = DOMAIN, image: str = IMAGE) -> str:
    return (
        f"<ovirt-vm:poolID>{POOL}</ovirt-vm:poolID><ovirt-vm:domainID>{domain}</ovirt-vm:domainID>"
        f"<ovirt-vm:imageID>{image}</ovirt-vm:imageID><ovirt-vm:volumeID>{volume}</ovirt-vm:volumeID>"
    )


def domain(disks: str, devices: str = "") -> etree._Element:
    return read_xml(
        f'<domain type="kvm" xmlns:ovirt-vm="http://ovirt.org/vm/1.0"><metadata><ovirt-vm:vm>{devices}</ovirt-vm:vm>'
        f"</metadata><devices>{disks}</devices></domain>"
    )


def references(root: etree._Element) -> list[DiskReference]:
    return find_references(root, read_vm_facts(root))


DISK = '<disk type="file" device="disk"><target dev="vda"/><source file="/x"/><driver type="raw"/></disk>'


def test_by_the_disks_name() -> None:
    root = domain(DISK, f'<ovirt-vm:device devtype="disk" name="vda">{pdiv()}</ovirt-vm:device>')
    (reference,) = references(root)
    assert reference.ref == REF
    assert reference.disk.find("target") is not None


def test_by_its_alias() -> None:
    disk = DISK.replace("<target", '<alias name="ua-1"/><target')
    root = domain(disk, f'<ovirt-vm:device devtype="disk" alias="ua-1">{pdiv()}</ovirt-vm:device>')
    assert [reference.ref for reference in references(root)] == [REF]


def test_by_the_path_that_an_engine_writes() -> None:
    path = f"/rhev/data-center/{POOL}/{DOMAIN}/images/{IMAGE}/{VOLUME}"
    assert [reference.ref for reference in references(domain(DISK.replace("/x", path)))] == [REF]


@pytest.mark.parametrize("path", [f"/rhev/data-center/{POOL}/{DOMAIN}/images/{IMAGE}/../../x", "/srv/a.raw", ""])
def test_other_disks_are_left_alone(path: str) -> None:
    assert references(domain(DISK.replace("/x", path))) == []


def test_what_is_known_of_another_device() -> None:
    other = f'<ovirt-vm:device devtype="disk" name="vdb">{pdiv()}</ovirt-vm:device>'
    nic = '<ovirt-vm:device mac_address="52:54:00:00:00:01" devtype="interface"/>'
    assert references(domain(DISK, other + nic + '<ovirt-vm:device devtype="disk" name="vda"/>')) == []


@pytest.mark.parametrize(
    "bad", [pdiv("../../../etc/passwd"), pdiv(""), pdiv(domain="x"), pdiv(image="{" + IMAGE + "}")]
)
def test_what_is_no_uuid(bad: str) -> None:
    with pytest.raises(BadVolumeReference, match="vda"):
        references(domain(DISK, f'<ovirt-vm:device devtype="disk" name="vda">{bad}</ovirt-vm:device>'))


def test_the_path_is_set() -> None:
    disk = (
        '<disk type="block" device="disk"><target dev="vda"/><source dev="/dev/x" startupPolicy="optional">'
        '<seclabel model="dac" relabel="yes"/></source></disk>'
    )
    root = domain(disk, f'<ovirt-vm:device devtype="disk" name="vda">{pdiv()}</ovirt-vm:device>')
    volumes = FakeVolumes({REF: "/mnt/a"})
    with undo_on_failure() as undo:
        prepare_references(references(root), volumes, user="vm", undo=undo)
    found = root.find("devices/disk")
    assert found is not None
    source = found.find("source")
    assert source is not None
    assert (found.get("type"), source.items()) == ("file", [("file", "/mnt/a")])
    assert [label.get("relabel") for label in source] == ["no"]
    assert volumes.users == {REF: {"vm"}}


def test_what_was_prepared_is_given_back() -> None:
    second = VolumeRef(pool_id=POOL, domain_id=DOMAIN, image_id=IMAGE, volume_id=POOL)
    root = domain(
        DISK + DISK.replace("vda", "vdb"),
        f'<ovirt-vm:device devtype="disk" name="vda">{pdiv()}</ovirt-vm:device>'
        f'<ovirt-vm:device devtype="disk" name="vdb">{pdiv(second.volume_id)}</ovirt-vm:device>',
    )
    volumes = FakeVolumes({REF: "/mnt/a"})
    with pytest.raises(NotFound), undo_on_failure() as undo:
        prepare_references(references(root), volumes, user="vm", undo=undo)
    assert volumes.users == {}
    assert volumes.history == [("prepare", REF), ("prepare", second), ("teardown", second), ("teardown", REF)]
