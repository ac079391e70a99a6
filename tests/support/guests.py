# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A running libvirt domain as covirt.host.virt sees it, without the agent around it."""

from dataclasses import dataclass
from typing import Any

from lxml import etree

from covirt.host.virt.document import read_xml
from covirt.host.virt.volumes import VolumeRef


@dataclass
class PlainGuest:
    """covirt.host.virt.guest.Guest."""

    virtual: Any
    is_container: bool = False
    volumes: tuple[VolumeRef, ...] = ()

    @property
    def vm_id(self) -> str:
        return str(self.virtual.UUIDString())

    def holds(self, volumes: tuple[VolumeRef, ...]) -> None:
        self.volumes = volumes

    def domain(self) -> Any:
        return self.virtual

    @property
    def xml(self) -> etree._Element:
        return read_xml(self.virtual.XMLDesc(0))

    @property
    def known_images(self) -> list[str]:
        """Of disks in oVirt's block of metadata."""
        return [element.text or "" for element in self.xml.iter("{http://ovirt.org/vm/1.0}imageID")]

    def attributes(self, path: str, name: str) -> list[str]:
        """Of all such elements of the live XML."""
        return [element.get(name, "") for element in self.xml.iterfind(path)]
