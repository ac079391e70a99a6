# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""oVirt's block of facts in <metadata>: <ovirt-vm:vm>, its custom properties, and what it knows of each device."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from lxml import etree

from covirt.common.dialect import OVIRT_VM_NAMESPACE

VM_TAG: Final = f"{{{OVIRT_VM_NAMESPACE}}}vm"
DEVICE_TAG: Final = f"{{{OVIRT_VM_NAMESPACE}}}device"
PAYLOAD_TAG: Final = f"{{{OVIRT_VM_NAMESPACE}}}payload"
_CUSTOM_TAG: Final = f"{{{OVIRT_VM_NAMESPACE}}}custom"


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """One <ovirt-vm:device>: its attributes say which device it is about, its children what is known of it."""

    identity: Mapping[str, str]
    values: Mapping[str, str]
    custom: Mapping[str, str] = field(default_factory=_nothing)

    def is_about(self, *, devtype: str, **identity: str) -> bool:
        """Whether one of the given attributes (name, mac_address, alias) names this device."""
        if self.identity.get("devtype", devtype) != devtype:
            return False
        return any(value and self.identity.get(name) == value for name, value in identity.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class VmFacts:
    """All of the block. Values are texts as they stand there."""

    values: Mapping[str, str] = field(default_factory=_nothing)
    custom: Mapping[str, str] = field(default_factory=_nothing)
    devices: tuple[DeviceFacts, ...] = ()

    def device(self, *, devtype: str, **identity: str) -> DeviceFacts | None:
        """What is known of the disk or interface with this name, alias or MAC address."""
        found = (facts for facts in self.devices if facts.is_about(devtype=devtype, **identity))
        return next(found, None)


def read_vm_facts(root: etree._Element) -> VmFacts:
    """From a <domain>, or from the <hotplug> of one device; empty where there is no block."""
    block = root.find(f"metadata/{VM_TAG}")
    if block is None:
        return VmFacts()
    return VmFacts(
        values=_texts(block),
        custom=_custom(block),
        devices=tuple(
            DeviceFacts(identity=_attributes(device), values=_texts(device), custom=_custom(device))
            for device in block.iterchildren(DEVICE_TAG)
        ),
    )


def _attributes(element: etree._Element) -> Mapping[str, str]:
    return MappingProxyType({str(name): str(value) for name, value in element.attrib.items()})


def _custom(element: etree._Element) -> Mapping[str, str]:
    """All of them: also one with something else in it than text is there, and nobody's to overlook."""
    custom = element.find(_CUSTOM_TAG)
    return _nothing() if custom is None else _by_name(custom)


def _texts(element: etree._Element) -> Mapping[str, str]:
    """The children that hold text only, by their local names."""
    return _by_name(child for child in element if len(child) == 0)


def _by_name(elements: Iterable[etree._Element]) -> Mapping[str, str]:
    return MappingProxyType({etree.QName(element).localname: (element.text or "").strip() for element in elements})
