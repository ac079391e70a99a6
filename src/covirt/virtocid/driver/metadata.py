# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What libvirt's metadata calls read and change: title, description, and one element per namespace."""

import re
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE, OVIRT_CONTAINER_NAMESPACE
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.document import fragment_text, read_document, read_fragment, write_fragment
from covirt.virtocid.driver.domain_xml.errors import XmlError
from covirt.virtocid.driver.domain_xml.format_metadata import settings_text
from covirt.virtocid.driver.domain_xml.model import ContainerSettings, DomainConfig, MetadataElement
from covirt.virtocid.driver.domain_xml.node import Node, Report
from covirt.virtocid.driver.domain_xml.parse_metadata import read_ovirt_container
from covirt.virtocid.driver.domain_xml.parse_settings import CONTAINER_TAG, read_settings
from covirt.virtocid.driver.errors import BadArgument, NoMetadata

_PREFIX: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def get_title(config: DomainConfig) -> str:
    """Raises NoMetadata."""
    if config.title is None:
        raise NoMetadata(what="title")
    return config.title


def get_description(config: DomainConfig) -> str:
    """Raises NoMetadata."""
    if config.description is None:
        raise NoMetadata(what="description")
    return config.description


def get_element(config: DomainConfig, uri: str) -> str:
    """The element of a namespace as text, that namespace taken out of it, as libvirt answers. Raises NoMetadata."""
    if uri == COVIRT_NAMESPACE:
        text = settings_text(config.settings)
    else:
        element = config.element(uri)
        text = element.xml if element else None
    if text is None:
        raise NoMetadata(what=f"element of the namespace {uri}")
    return write_fragment(_rebuilt(read_fragment(text), {f"{{{uri}}}": ""}, without=uri))


def with_title(config: DomainConfig, title: str | None) -> DomainConfig:
    """None and empty remove it. Raises BadArgument."""
    try:
        return replace(config, title=values.xml_text(values.one_line(title or "")) or None)
    except ValueError as error:
        raise BadArgument(what=f"title: {error}") from error


def with_description(config: DomainConfig, description: str | None) -> DomainConfig:
    """None and empty remove it. Raises BadArgument."""
    try:
        return replace(config, description=values.xml_text(description or "") or None)
    except ValueError as error:
        raise BadArgument(what=f"description: {error}") from error


def with_element(config: DomainConfig, *, uri: str, key: str | None, xml: str | None) -> DomainConfig:
    """Set or, with ``xml`` None, remove the element of a namespace; ``key`` becomes its prefix, as in libvirt.

    Raises BadArgument, XmlError, and InvalidXml for an element of ours or of oVirt's that says something impossible.
    """
    if not uri:
        raise BadArgument(what="a metadata element needs the URI of a namespace")
    if xml is None:
        return _without(config, uri)
    element = _in_namespace(read_document(xml), uri=uri, key=key)
    node = Node(element, Report())
    if uri == COVIRT_NAMESPACE:
        if node.tag != CONTAINER_TAG:
            raise node.invalid("<container> is the only element of this namespace")
        return replace(config, settings=read_settings(node))
    ovirt = config.ovirt
    if uri == OVIRT_CONTAINER_NAMESPACE:
        ovirt = read_ovirt_container(node)
    new = MetadataElement(uri=uri, xml=fragment_text(element))
    if config.element(uri) is None:
        return replace(config, metadata=(*config.metadata, new), ovirt=ovirt)
    return replace(config, metadata=tuple(new if old.uri == uri else old for old in config.metadata), ovirt=ovirt)


def _without(config: DomainConfig, uri: str) -> DomainConfig:
    if uri == COVIRT_NAMESPACE:
        return replace(config, settings=ContainerSettings())
    return replace(
        config,
        metadata=tuple(element for element in config.metadata if element.uri != uri),
        ovirt=None if uri == OVIRT_CONTAINER_NAMESPACE else config.ovirt,
    )


def _in_namespace(element: etree._Element, *, uri: str, key: str | None) -> etree._Element:
    """libvirt's clients send an element without a namespace; it, and all below it, goes into the one they name."""
    present, _, name = str(element.tag).removeprefix("{").rpartition("}")
    if present == uri:
        return element
    if present:
        raise XmlError(reason=f"the element {name} is in the namespace {present}, not in {uri}")
    if key is None or not _PREFIX.fullmatch(key):
        raise BadArgument(what=f"{key!r} cannot be a namespace prefix")
    return _rebuilt(element, {"": f"{{{uri}}}"}, more={key: uri})


def _rebuilt(
    element: etree._Element,
    spaces: Mapping[str, str],
    *,
    more: Mapping[str, str] = MappingProxyType({}),
    without: str = "",
) -> etree._Element:
    """A copy with namespaces exchanged, both as ``{uri}`` or empty; prefixes of all others stay what they are."""
    if isinstance(element, etree._Comment):
        return copy(element)
    brace, _, name = str(element.tag).rpartition("}")
    space = f"{brace}}}" if brace else ""
    prefixes = {prefix: uri for prefix, uri in element.nsmap.items() if uri != without}
    nsmap: Any = prefixes | dict(more)  # the stubs know no default namespace, whose prefix is None
    copied = etree.Element(spaces.get(space, space) + name, nsmap=nsmap)
    for attribute, value in element.attrib.items():
        copied.set(attribute, value)
    copied.text, copied.tail = element.text, element.tail
    copied.extend([_rebuilt(child, spaces, more=more, without=without) for child in element])
    return copied
