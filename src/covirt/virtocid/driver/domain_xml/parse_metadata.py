# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read <metadata>: one element per namespace, our own taken out of it, oVirt's read and left in."""

from dataclasses import dataclass, field
from typing import Final

from covirt.common.dialect import COVIRT_NAMESPACE, OVIRT_CONTAINER_NAMESPACE
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.document import fragment_text
from covirt.virtocid.driver.domain_xml.model import MetadataElement, OvirtContainer
from covirt.virtocid.driver.domain_xml.model_settings import ContainerSettings
from covirt.virtocid.driver.domain_xml.model_volumes import MappedDrive
from covirt.virtocid.driver.domain_xml.node import Node, Report
from covirt.virtocid.driver.domain_xml.parse_settings import CONTAINER_TAG, read_settings
from covirt.virtocid.driver.domain_xml.parse_volumes import DRIVE_MAP_TAG, read_drive_map

_OVIRT_TAG: Final = f"{{{OVIRT_CONTAINER_NAMESPACE}}}"
_OUR_NAMESPACES: Final = COVIRT_NAMESPACE.rpartition("/")[0]  # any version of the settings
_DOCKER: Final = "docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    elements: tuple[MetadataElement, ...] = ()
    settings: ContainerSettings = field(default_factory=ContainerSettings)
    ovirt: OvirtContainer | None = None
    drive_map: tuple[MappedDrive, ...] = ()


def read_metadata(node: Node | None, report: Report) -> Metadata:
    if node is None:
        return Metadata()
    elements: dict[str, MetadataElement] = {}
    settings, ovirt, seen_container = ContainerSettings(), None, False
    drive_map: tuple[MappedDrive, ...] = ()
    for element in node.fragments():
        child = Node(element, report)
        uri, _, _ = child.tag.removeprefix("{").rpartition("}")
        if not uri:
            raise child.invalid("an element of <metadata> needs a namespace of its own")
        if uri.startswith(_OUR_NAMESPACES) and uri != COVIRT_NAMESPACE:
            raise child.invalid(f"the namespace {uri} is not known here; this virtocid knows {COVIRT_NAMESPACE}")
        if uri in elements or (child.tag == CONTAINER_TAG and seen_container):
            raise child.invalid(f"there are two elements of the namespace {uri}")
        if child.tag == CONTAINER_TAG:
            settings, seen_container = read_settings(child), True
            continue
        if child.tag == f"{_OVIRT_TAG}container":
            ovirt = read_ovirt_container(child)
        if child.tag == DRIVE_MAP_TAG:
            drive_map = read_drive_map(child, report)
        elements[uri] = MetadataElement(uri=uri, xml=fragment_text(element))
    return Metadata(elements=tuple(elements.values()), settings=settings, ovirt=ovirt, drive_map=drive_map)


def read_ovirt_container(node: Node) -> OvirtContainer:
    """oVirt's element. Its runtime ``docker`` was the only one oVirt had, and means the host's default here."""
    runtime = node.child_text(f"{_OVIRT_TAG}runtime", _optional_word)
    image = node.child_text(f"{_OVIRT_TAG}image", _ovirt_image)
    return OvirtContainer(runtime=None if runtime == _DOCKER else runtime or None, image=image or None)


def _optional_word(text: str) -> str:
    return values.word(text.strip()) if text.strip() else ""


def _ovirt_image(text: str) -> str:
    name = text.strip().removeprefix("docker://")
    return values.container_image(name) if name else ""
