# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a running domain's XML tells of its devices, for statistics; names are libvirt's, known after the start."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lxml import etree

from covirt.host.virt.document import attribute_of, read_xml
from covirt.host.virt.ovirt_metadata import VmFacts
from covirt.hostapi.json import JsonValue


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesSeen:
    """``domain_type``: kvm, qemu or oci. ``macs`` and ``links`` ("up", "down") by interface, ``image_ids`` by
    disk, ``displays`` as in VmStats. ``hash`` differs when devices do."""

    domain_type: str = ""
    hash: str = ""
    macs: Mapping[str, str] = field(default_factory=_nothing)
    links: Mapping[str, str] = field(default_factory=_nothing)
    image_ids: Mapping[str, str] = field(default_factory=_nothing)
    displays: tuple[Mapping[str, JsonValue], ...] = ()


def see_devices(xml: str, facts: VmFacts) -> DevicesSeen:
    """From XMLDesc() of a domain that runs. Raises BadXml."""
    root = read_xml(xml)
    interfaces = {attribute_of(one, "target", "dev"): one for one in root.iterfind("devices/interface")}
    disks = [attribute_of(one, "target", "dev") for one in root.iterfind("devices/disk")]
    images = {name: device.values.get("imageID", "") for name in disks
              if (device := facts.device(devtype="disk", name=name)) is not None}  # fmt: skip
    return DevicesSeen(
        domain_type=root.get("type", ""),
        hash=devices_hash(root),
        macs={name: attribute_of(one, "mac", "address") for name, one in interfaces.items()},
        links={name: attribute_of(one, "link", "state") or "up" for name, one in interfaces.items()},
        image_ids=images,
        displays=tuple(
            {
                "type": graphics.get("type", ""),
                "port": graphics.get("port", "-1"),
                "tlsPort": graphics.get("tlsPort", "-1"),
                "ipAddress": attribute_of(graphics, "listen", "address") or "0",
            }
            for graphics in root.iterfind("devices/graphics")
        ),
    )


def devices_hash(root: etree._Element) -> str:
    """Engines ask for the XML anew when it has changed (Host.dumpxmls)."""
    devices = root.find("devices")
    digest = hashlib.sha256(b"" if devices is None else etree.tostring(devices)).digest()[:8]
    return str(int.from_bytes(digest, "big", signed=True))
