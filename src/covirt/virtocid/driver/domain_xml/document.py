# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""XML text to an lxml tree and back: nothing is fetched, nothing expands, and white space is ours."""

import re
from typing import Final

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE, OVIRT_CONTAINER_NAMESPACE, OVIRT_DRIVE_MAP_NAMESPACE
from covirt.common.xml_guard import PARSER_OPTIONS, UnsafeXml, bounded, guarded
from covirt.virtocid.driver.domain_xml.errors import XmlError

_TAG: Final = re.compile(r"<[^<>]+>")
_VALUE: Final = re.compile(r'="([^"]*)"')
_XML_SPACE: Final = "{http://www.w3.org/XML/1998/namespace}space"
_INDENT: Final = "  "
# Elements of metadata that are read, where a comment would stand among what is read.
_READ_HERE: Final = (
    f"{{{COVIRT_NAMESPACE}}}",
    f"{{{OVIRT_CONTAINER_NAMESPACE}}}",
    f"{{{OVIRT_DRIVE_MAP_NAMESPACE}}}",
)


def read_document(xml: str) -> etree._Element:
    """The root element, without processing instructions and white space between elements.

    Comments stay only where another program's words are kept as they are: inside the elements of <metadata>, and
    when the root is such an element. Raises XmlError.
    """
    try:
        root = etree.fromstring(guarded(xml), etree.XMLParser(**PARSER_OPTIONS))
    except etree.XMLSyntaxError as error:
        raise XmlError(reason=error.msg or "it is empty") from error
    except (UnsafeXml, ValueError) as error:
        raise XmlError(reason=str(error)) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise XmlError(reason="a DOCTYPE is not allowed")
    _drop_comments(root)
    _tidy(root)
    return root


def _drop_comments(root: etree._Element) -> None:
    for comment in list(root.iter(etree.Comment)):
        if not _is_of_others(comment, root):
            _remove(comment)


def _is_of_others(comment: etree._Element, root: etree._Element) -> bool:
    """Whether it stands in an element of metadata that nobody here reads."""
    path = [comment, *comment.iterancestors()]
    if root.tag == "domain":
        path = path[:-2] if len(path) > 2 and path[-2].tag == "metadata" else []
    return len(path) > 1 and not str(path[-1].tag).startswith(_READ_HERE)


def _remove(comment: etree._Element) -> None:
    """Take it out and leave the text behind it."""
    parent, before = comment.getparent(), comment.getprevious()
    if parent is None:
        return
    if before is not None:
        before.tail = (before.tail or "") + (comment.tail or "")
    else:
        parent.text = (parent.text or "") + (comment.tail or "")
    comment.tail = None
    parent.remove(comment)


def _tidy(root: etree._Element) -> None:
    """Drop white space that only indents, and check depth and size on the way."""
    try:
        for element in bounded(root):
            if isinstance(element, etree._Comment):
                continue
            if not isinstance(element.tag, str):
                raise XmlError(reason=f"an entity is not allowed (line {element.sourceline})")
            _drop_indentation(element)
    except UnsafeXml as error:
        raise XmlError(reason=str(error)) from error


def _drop_indentation(element: etree._Element) -> None:
    if len(element) == 0 or element.get(_XML_SPACE) == "preserve" or _is_mixed(element):
        return
    element.text = None
    for child in element:
        child.tail = None


def _is_mixed(element: etree._Element) -> bool:
    return bool(
        (element.text and element.text.strip()) or any(child.tail and child.tail.strip() for child in element)
    )


def fragment_text(element: etree._Element) -> str:
    """One element as text that stands for itself: the namespaces it uses are declared in it."""
    etree.cleanup_namespaces(copied := _copy(element))
    return etree.tostring(copied, encoding="unicode", with_tail=False)


def _copy(element: etree._Element) -> etree._Element:
    copied = etree.fromstring(etree.tostring(element, encoding="utf-8", with_tail=False), _FRAGMENT_PARSER)
    copied.tail = None
    return copied


_FRAGMENT_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, collect_ids=False)


def read_fragment(text: str) -> etree._Element:
    """What fragment_text wrote."""
    return etree.fromstring(text.encode(), _FRAGMENT_PARSER)


def write_document(root: etree._Element) -> str:
    """The text of a tree as libvirt writes it: two spaces a level, single quotes, a line break at its end."""
    _indent(root, "\n")
    text = etree.tostring(root, encoding="unicode", with_tail=False)
    return _TAG.sub(_single_quoted, text) + "\n"


def write_fragment(root: etree._Element) -> str:
    """The text of one element of metadata as libvirt answers with it: two spaces a level, double quotes."""
    _indent(root, "\n")
    return etree.tostring(root, encoding="unicode", with_tail=False)


def _single_quoted(tag: re.Match[str]) -> str:
    """People's scripts look for ``type='oci'``. libxml2 has escaped every quote and bracket that is not its own."""
    return _VALUE.sub(lambda value: "='" + value[1].replace("'", "&apos;").replace("&quot;", '"') + "'", tag[0])


def _indent(element: etree._Element, line: str) -> None:
    if len(element) == 0 or element.get(_XML_SPACE) == "preserve" or _is_mixed(element):
        return
    inner = line + _INDENT
    element.text = inner
    for child in element:
        child.tail = inner
        _indent(child, inner)
    element[-1].tail = line
