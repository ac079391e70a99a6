# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Domain XML in oVirt's dialect, of both kinds: what covirt-host, and a stock Vdsm, start a machine from."""

from typing import Final

from lxml import etree

from covirt.common.dialect import OVIRT_VM_NAMESPACE
from covirt.engine.model.hardware import VmKind
from covirt.engine.vms.container_xml import container_properties
from covirt.engine.vms.device_xml import add_disc, add_disks, add_nics, add_volume, child
from covirt.engine.vms.domain import DISC_NAME, Domain
from covirt.engine.vms.machine_xml import add_machine

TUNE_NAMESPACE: Final = "http://ovirt.org/vm/tune/1.0"
_NAMESPACES: Final = {"ovirt-tune": TUNE_NAMESPACE, "ovirt-vm": OVIRT_VM_NAMESPACE}
_MIB: Final = 1 << 20


def domain_xml(domain: Domain) -> str:
    """Raises UnfitInterface and, of a container, BadContainer and NoSuchVolumeDisk."""
    vm, hardware = domain.vm, domain.vm.hardware
    root = etree.Element("domain", type="kvm", nsmap=_NAMESPACES)
    child(root, "name", vm.name)
    child(root, "uuid", vm.id)
    memory = str(hardware.memory_bytes >> 10)
    child(root, "memory", memory)
    child(root, "currentMemory", memory)
    child(root, "vcpu", str(hardware.cpu.total), current=str(hardware.cpu.total))
    if hardware.cpu_shares:
        child(child(root, "cputune"), "shares", str(hardware.cpu_shares))
    block = _metadata(root, domain)
    if vm.kind is VmKind.CONTAINER:
        _add_container(root, block, domain)
    else:
        add_machine(root, block, domain)
    return etree.tostring(root, encoding="unicode")


def _metadata(root: etree._Element, domain: Domain) -> etree._Element:
    metadata = child(root, "metadata")
    child(metadata, f"{{{TUNE_NAMESPACE}}}qos")
    block = child(metadata, f"{{{OVIRT_VM_NAMESPACE}}}vm")
    _value(block, "clusterVersion", domain.level)
    _value(block, "minGuaranteedMemoryMb", str(domain.vm.hardware.memory_guaranteed_bytes // _MIB), type="int")
    _value(block, "resumeBehavior", "auto_resume")
    if domain.paused:
        _value(block, "launchPaused", "true", type="bool")
    custom = child(block, f"{{{OVIRT_VM_NAMESPACE}}}custom")
    for name, text in _custom(domain).items():
        _value(custom, name, text)
    return block


def _custom(domain: Domain) -> dict[str, str]:
    if domain.vm.kind is VmKind.CONTAINER:
        return container_properties(domain)
    return {each.name: each.value for each in domain.vm.hardware.custom_properties}


def _value(block: etree._Element, name: str, text: str, **attributes: str) -> None:
    child(block, f"{{{OVIRT_VM_NAMESPACE}}}{name}", text, **attributes)


def _add_container(root: etree._Element, block: etree._Element, domain: Domain) -> None:
    """As little of a machine as a host needs that does not know containers: it refuses, and boots nothing."""
    os = child(root, "os")
    child(os, "type", "hvm", arch="x86_64", machine="q35")
    devices = child(root, "devices")
    child(devices, "memballoon", model="virtio")
    console = child(devices, "console", type="pty")
    child(console, "target", type="serial", port="0")
    add_nics(devices, block, domain)
    if domain.disc is not None:
        add_disc(devices, domain, name=DISC_NAME, bus="sata")
        add_volume(block, name=DISC_NAME, volume=domain.disc)
    add_disks(devices, block, domain, taken=(DISC_NAME,), boots=())
