# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""XML as oVirt's engine sends it, with disks that are volumes of a storage domain."""

import base64
from collections.abc import Mapping, Sequence
from typing import Final

from lxml import etree

from covirt.host.virt.vm_block import reference_values
from covirt.host.virt.volumes import VolumeRef

POOL: Final = "5849b030-626e-47cb-ad90-3ce782d831b3"
STORAGE: Final = "5e6b0e2f-3b0f-4c4d-8c5e-7c1a0a4b5a11"
# For a disc of files, as oVirt's engine has it.
DRIVE: Final = (
    '<disk type="file" device="cdrom" snapshot="no"><driver name="qemu" type="raw" error_policy="report"/>'
    '<source file="PAYLOAD:" startupPolicy="optional"><seclabel model="dac" type="none" relabel="no"/></source>'
    '<target dev="hdd" bus="ide"/><readonly/><alias name="ua-5f8ee2d4-6a35-4b3c-8b0b-3a3a5a7f5e11"/></disk>'
)
_OVIRT: Final = 'xmlns:ovirt-vm="http://ovirt.org/vm/1.0"'


def hotplug_xml(device: str, facts: str = "") -> str:
    return (
        f"<?xml version='1.0' encoding='UTF-8'?><hotplug><devices>{device}</devices><metadata {_OVIRT}>"
        f"<ovirt-vm:vm>{facts}</ovirt-vm:vm></metadata></hotplug>"
    )


def payload_facts(files: Mapping[str, bytes], *, name: str = "hdd", label: str = "config-2") -> str:
    """What is known of a drive whose disc is made of these files."""
    texts = "".join(
        f'<ovirt-vm:file path="{path}">{base64.b64encode(data).decode()}</ovirt-vm:file>'
        for path, data in files.items()
    )
    payload = f"<ovirt-vm:payload><ovirt-vm:volId>{label}</ovirt-vm:volId>{texts}</ovirt-vm:payload>"
    return f'<ovirt-vm:device devtype="disk" name="{name}">{payload}</ovirt-vm:device>'


def volume_facts(ref: VolumeRef) -> dict[str, str]:
    """poolID, domainID, imageID, volumeID."""
    return reference_values(ref)


def disk_xml(name: str, ref: VolumeRef, **custom: str) -> str:
    """What hotplugDisk gets."""
    return hotplug_xml(_disk(name, ref), _facts(name, ref, **custom))


def nic_xml(bridge: str, mac: str, *, alias: str = "ua-nic") -> str:
    """What hotplugNic gets."""
    nic = (
        f"<interface type='bridge'><source bridge='{bridge}'/><mac address='{mac}'/><model type='virtio'/>"
        f"<link state='up'/><alias name='{alias}'/></interface>"
    )
    return hotplug_xml(nic, f"<ovirt-vm:device mac_address='{mac}' devtype='interface'/>")


def container_xml(
    name: str, uuid: str, *, disks: Sequence[tuple[str, VolumeRef]] = (), disc: VolumeRef | None = None, **custom: str
) -> str:
    """A whole machine whose custom properties make it a container."""
    custom = {"containerType": "docker", **custom}
    devices = "".join(_disk(target, ref) for target, ref in disks)
    facts = "".join(_facts(target, ref) for target, ref in disks)
    if disc is not None:
        devices += (
            "<disk type='file' device='cdrom'><driver name='qemu' type='raw' error_policy='report'/>"
            "<source file='' startupPolicy='optional'/><target dev='sdc' bus='sata'/><readonly/></disk>"
        )
        facts += _facts("sdc", disc)
    properties = "".join(f"<ovirt-vm:{key}>{text}</ovirt-vm:{key}>" for key, text in custom.items())
    return f"""<?xml version='1.0' encoding='UTF-8'?>
<domain {_OVIRT} type="kvm"><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory><vcpu current="1">4</vcpu>
<clock offset="variable" adjustment="0"/><cpu match="exact"><model>Cascadelake-Server</model></cpu>
<os><type arch="x86_64" machine="pc-q35-rhel8.6.0">hvm</type></os>
<metadata><ovirt-vm:vm><ovirt-vm:clusterVersion>4.7</ovirt-vm:clusterVersion>
<ovirt-vm:custom>{properties}</ovirt-vm:custom>{facts}</ovirt-vm:vm></metadata>
<devices><emulator>/usr/libexec/qemu-kvm</emulator><memballoon model="virtio"/>
<graphics type="vnc" port="-1" autoport="yes"/>
<console type="unix"><source path="/run/ovirt-vmconsole-console/{uuid}.sock" mode="bind"/>
<target type="serial" port="0"/></console>{devices}</devices></domain>"""


def with_disk(xml: str, ref: VolumeRef, *, name: str = "vda", kind: str = "raw") -> str:
    """A machine's XML with one disk more."""
    given = disk_xml(name, ref).replace("type='raw'", f"type='{kind}'")
    domain, source = etree.fromstring(xml), etree.fromstring(given.partition("?>")[2])
    devices, disk = domain.find("devices"), source.find("devices/disk")
    block = domain.find("metadata/{http://ovirt.org/vm/1.0}vm")
    facts = source.find("metadata/{http://ovirt.org/vm/1.0}vm/{http://ovirt.org/vm/1.0}device")
    assert devices is not None
    assert disk is not None
    assert block is not None
    assert facts is not None
    devices.append(disk)
    block.append(facts)
    return etree.tostring(domain, encoding="unicode")


def _disk(name: str, ref: VolumeRef) -> str:
    path = f"/rhev/data-center/{ref.pool_id}/{ref.domain_id}/images/{ref.image_id}/{ref.volume_id}"
    return (
        f"<disk type='file' device='disk' snapshot='no'><target dev='{name}' bus='virtio'/><source file='{path}'/>"
        f"<driver name='qemu' type='raw' error_policy='stop'/><alias name='ua-{ref.image_id}'/></disk>"
    )


def _facts(name: str, ref: VolumeRef, **custom: str) -> str:
    values = "".join(f"<ovirt-vm:{key}>{text}</ovirt-vm:{key}>" for key, text in reference_values(ref).items())
    own = "".join(f"<ovirt-vm:{key}>{text}</ovirt-vm:{key}>" for key, text in custom.items())
    return (
        f"<ovirt-vm:device devtype='disk' name='{name}'>{values}<ovirt-vm:custom>{own}</ovirt-vm:custom>"
        "</ovirt-vm:device>"
    )
