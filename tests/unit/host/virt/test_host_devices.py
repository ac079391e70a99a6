# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Devices of a host in Vdsm's words, out of what libvirt says of machines that tests do not run on."""

from dataclasses import dataclass

import libvirt

from covirt.host.virt.host_devices import host_devices

_PCI = """<device><name>pci_0000_00_02_0</name><parent>computer</parent><driver><name>virtio-pci</name></driver>
<capability type='pci'><class>0x018000</class><domain>0</domain><bus>0</bus><slot>2</slot><function>0</function>
<product id='0x1042'>Virtio 1.0 block device</product><vendor id='0x1af4'>Red Hat, Inc.</vendor>
<iommuGroup number='3'/><numa node='1'/></capability></device>"""
_USB = """<device><name>usb_1_1</name><parent>usb_usb1</parent><capability type='usb_device'><bus>1</bus>
<device>4</device><product id='0x0001'/><vendor id='0x0627'>QEMU</vendor></capability></device>"""
_DISK = """<device><name>block_sda</name><parent>pci_0000_00_02_0</parent><capability type='storage'>
<block>/dev/sda</block><model>QEMU HARDDISK</model><vendor>0x1af4</vendor></capability></device>"""
_GONE = libvirt.libvirtError("gone")
_GONE.err = (libvirt.VIR_ERR_NO_NODE_DEVICE, libvirt.VIR_FROM_NODEDEV, "gone", 2, "", None, None, 0, 0)


@dataclass
class Device:
    xml: str

    def XMLDesc(self, _flags: int) -> str:  # noqa: N802 - libvirt's name
        if not self.xml:
            raise _GONE
        return self.xml


class Connection:
    def listAllDevices(self, _flags: int) -> list[Device]:  # noqa: N802 - libvirt's name
        return [Device(xml) for xml in (_PCI, "", _USB, _DISK)]


def test_in_vdsm_s_words() -> None:
    found = host_devices(Connection())
    assert found["pci_0000_00_02_0"] == {"params": {
        "capability": "pci", "parent": "computer", "driver": "virtio-pci", "iommu_group": "3", "numa_node": "1",
        "vendor": "Red Hat, Inc.", "vendor_id": "0x1af4", "product": "Virtio 1.0 block device",
        "product_id": "0x1042", "address": {"domain": "0", "bus": "0", "slot": "2", "function": "0"},
        "is_assignable": "false",
    }}  # fmt: skip
    assert found["usb_1_1"] == {"params": {
        "capability": "usb_device", "parent": "usb_usb1", "vendor": "QEMU", "vendor_id": "0x0627",
        "product_id": "0x0001", "address": {"bus": "1", "device": "4"},
    }}  # fmt: skip
    assert found["block_sda"] == {"params": {
        "capability": "storage", "parent": "pci_0000_00_02_0", "vendor": "0x1af4", "product": "QEMU HARDDISK",
    }}  # fmt: skip
    assert list(host_devices(Connection(), ["usb_device"])) == ["usb_1_1"]
