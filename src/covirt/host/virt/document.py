# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""XML that an engine or libvirt gave: read with nothing fetched or expanded, looked through, written again."""

import copy
from collections.abc import Iterator

from lxml import etree

from covirt.common.errors import InvalidRequest
from covirt.common.xml_guard import MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, has_doctype


class BadXml(InvalidRequest):
    template = "the XML cannot be used: {reason}"


def read_xml(text: str) -> etree._Element:
    """The root element; comments and processing instructions are left away. Raises BadXml."""
    data = _encoded(text)
    if has_doctype(data):
        raise BadXml(reason="a DOCTYPE is not allowed")
    parser = etree.XMLParser(
        encoding="utf-8",  # the text was decoded already, whatever its XML declaration says
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
        remove_pis=True,
        remove_comments=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise BadXml(reason=error.msg or "it is empty") from error
    except ValueError as error:
        raise BadXml(reason=str(error)) from error
    _check_size(root)
    return root


def _encoded(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise BadXml(reason="it is not UTF-8 text") from error
    if len(data) > MAX_BYTES:
        raise BadXml(reason=f"it has {len(data)} bytes, and the limit is {MAX_BYTES}")
    return data


def _check_size(root: etree._Element) -> None:
    pending, count = [(root, 1)], 0
    while pending:
        element, depth = pending.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise BadXml(reason=f"elements are nested deeper than {MAX_DEPTH} (line {element.sourceline})")
        if count > MAX_ELEMENTS:
            raise BadXml(reason=f"it has more than {MAX_ELEMENTS} elements")
        if not isinstance(element.tag, str):
            raise BadXml(reason=f"an entity is not allowed (line {element.sourceline})")
        pending.extend((child, depth + 1) for child in element)


def write_xml(element: etree._Element) -> str:
    """One element as text that stands for itself: the namespaces it uses are declared in it."""
    alone = copy.deepcopy(element)
    alone.tail = None
    return etree.tostring(alone, encoding="unicode")


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
