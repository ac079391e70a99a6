# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""XML that an engine or libvirt gave: read with nothing fetched or expanded, looked through, written again."""

import copy
import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from covirt.common.errors import InvalidRequest
from covirt.common.xml_guard import PARSER_OPTIONS, UnsafeXml, bounded, guarded

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class BadXml(InvalidRequest):
    template = "the XML cannot be used: {reason}"


def read_xml(text: str) -> etree._Element:
    """The root element; comments and processing instructions are left away. Raises BadXml."""
    try:
        root = etree.fromstring(guarded(text), etree.XMLParser(**PARSER_OPTIONS, remove_comments=True))
        for element in bounded(root):
            if not isinstance(element.tag, str):
                raise BadXml(reason=f"an entity is not allowed (line {element.sourceline})")
    except etree.XMLSyntaxError as error:
        raise BadXml(reason=error.msg or "it is empty") from error
    except (UnsafeXml, ValueError) as error:
        raise BadXml(reason=str(error)) from error
    return root


def write_xml(element: etree._Element) -> str:
    """One element as text that stands for itself: the namespaces it uses are declared in it."""
    alone = copy.deepcopy(element)
    alone.tail = None
    return etree.tostring(alone, encoding="unicode")


def is_xml_text(text: str) -> bool:
    """Whether XML can have it at all: it has no NUL, and few other control characters."""
    return _NOT_XML.search(text) is None


def children(element: etree._Element, tag: str) -> Iterator[etree._Element]:
    """The direct children of a tag, as a list that may be changed meanwhile."""
    return iter([child for child in element if child.tag == tag])


def child_text(element: etree._Element, tag: str) -> str:
    """The trimmed text of the first such child; empty without one."""
    return (element.findtext(tag) or "").strip()


def attribute_of(element: etree._Element, path: str, name: str) -> str:
    """An attribute of the first element at ``path``; empty when either is not there."""
    found = element.find(path)
    return "" if found is None else found.get(name, "")


def made_child(element: etree._Element, tag: str) -> etree._Element:
    """The first child of that tag, made when there is none."""
    found = element.find(tag)
    return etree.SubElement(element, tag) if found is None else found
