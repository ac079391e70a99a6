# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Build elements, put what was kept back into them, and bring children into libvirt's order."""

from collections.abc import Iterable

from lxml import etree

from covirt.virtocid.driver.domain_xml.document import read_fragment
from covirt.virtocid.driver.domain_xml.kept import Kept
from covirt.virtocid.driver.domain_xml.order import rank_in


def make(tag: str, text: object | None = None, /, **attributes: object | None) -> etree._Element:
    """An element with text and attributes; None is left away, ``type_`` stands for ``type``."""
    element = etree.Element(tag)
    if text is not None:
        element.text = str(text)
    for name, value in attributes.items():
        if value is not None:
            element.set(name.rstrip("_"), str(value))
    return element


def group(tag: str, children: Iterable[etree._Element | None], /, **attributes: object | None) -> etree._Element:
    """An element around children; None among them is left away."""
    element = make(tag, **attributes)
    element.extend([child for child in children if child is not None])
    return element


def unless_empty(element: etree._Element) -> etree._Element | None:
    """The element, or None when it says nothing."""
    return element if len(element) or element.attrib or element.text else None


def optional(tag: str, text: object | None, /, **attributes: object | None) -> etree._Element | None:
    """An element for ``text``, or None for None."""
    return None if text is None else make(tag, text, **attributes)


def flag(tag: str, *, wanted: bool) -> etree._Element | None:
    return make(tag) if wanted else None


def put_back(element: etree._Element, kept: Kept, *, secure: bool = True) -> etree._Element:
    """Add what the parser kept, then order the children. What we say ourselves wins over a kept attribute.

    Without ``secure`` the passwords of consoles and displays (attribute ``passwd``) stay away, as in libvirt.
    """
    for name, value in kept.attributes:
        if name not in element.attrib:
            element.set(name, value)
    for text in kept.elements:
        fragment = read_fragment(text)
        if not secure:
            _drop_passwords(fragment)
        element.append(fragment)
    for tag, inner in kept.children:
        child = element.find(tag)
        if child is None:
            child = etree.SubElement(element, tag)
        put_back(child, inner, secure=secure)
    sort_children(element)
    return element


def _drop_passwords(fragment: etree._Element) -> None:
    for element in fragment.iter("*"):
        if "passwd" in element.attrib:
            del element.attrib["passwd"]


def sort_children(element: etree._Element) -> None:
    """Bring them into libvirt's order."""
    rank = rank_in(str(element.tag))
    if rank is not None:
        element[:] = sorted(element, key=rank)
