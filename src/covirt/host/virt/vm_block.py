# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""oVirt's block of metadata as a thing that is edited: values, and what is known of devices that come and go."""

from collections.abc import Callable
from typing import Final

from lxml import etree

from covirt.common.dialect import OVIRT_VM_NAMESPACE
from covirt.host.virt.document import made_child
from covirt.host.virt.ovirt_metadata import DEVICE_TAG, VM_TAG
from covirt.host.virt.volumes import VolumeRef

# Changes the <ovirt-vm:vm> it is given.
Edit = Callable[[etree._Element], None]

_DEVTYPE: Final = "devtype"


def vm_name(name: str) -> str:
    """A tag of the block."""
    return f"{{{OVIRT_VM_NAMESPACE}}}{name}"


def block_of(root: etree._Element) -> etree._Element:
    """The block of a <domain>, made when there is none."""
    metadata = made_child(root, "metadata")
    block = metadata.find(VM_TAG)
    if block is None:
        block = new_block()
        metadata.append(block)
    return block


def new_block() -> etree._Element:
    return etree.Element(VM_TAG, nsmap={"ovirt-vm": OVIRT_VM_NAMESPACE})


def set_value(block: etree._Element, name: str, value: object, *, kind: str = "") -> None:
    """``kind``: "int", "bool", "float", or a text without one."""
    element = made_child(block, vm_name(name))
    element.text = str(value).lower() if kind == "bool" else str(value)
    if kind:
        element.set("type", kind)


def devices_about(block: etree._Element, *, devtype: str, **identity: str) -> list[etree._Element]:
    """The <ovirt-vm:device>s of a disk or interface with this name, alias or mac_address."""
    return [
        device
        for device in block.iterchildren(DEVICE_TAG)
        if device.get(_DEVTYPE, devtype) == devtype
        and any(value and device.get(name) == value for name, value in identity.items())
    ]


def reference_device(*, name: str, ref: VolumeRef) -> etree._Element:
    """What is known of a disk that is a volume."""
    device = etree.Element(DEVICE_TAG, nsmap={"ovirt-vm": OVIRT_VM_NAMESPACE})
    device.set(_DEVTYPE, "disk")
    device.set("name", name)
    for key, value in reference_values(ref).items():
        etree.SubElement(device, vm_name(key)).text = value
    return device


def reference_values(ref: VolumeRef) -> dict[str, str]:
    return {
        "poolID": ref.pool_id,
        "domainID": ref.domain_id,
        "imageID": ref.image_id,
        "volumeID": ref.volume_id,
    }
