# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An element being read: what is asked for is taken, and the rest is kept for the way back.

Every value that is refused is refused here, so every refusal names line and XPath.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar, cast

from lxml import etree

from covirt.virtocid.driver.domain_xml.document import fragment_text
from covirt.virtocid.driver.domain_xml.errors import InvalidXml
from covirt.virtocid.driver.domain_xml.harmless import HARMLESS
from covirt.virtocid.driver.domain_xml.kept import NOTHING_KEPT, Kept, UnknownElement
from covirt.virtocid.driver.domain_xml.order import rank_in

Value = TypeVar("Value")

_MAX_REPORTED: Final = 100  # more unknown elements say nothing new, and finding each one's XPath takes time
_NONE: Final[frozenset[str]] = frozenset()


class Report:
    """Collects what nobody knew, over one document."""

    def __init__(self) -> None:
        self._unknown: list[UnknownElement] = []
        self._machine_devices: Counter[str] = Counter()

    def add(self, element: etree._Element, attribute: str = "") -> None:
        if len(self._unknown) < _MAX_REPORTED:
            self._unknown.append(UnknownElement(xpath=xpath_of(element) + attribute, line=line_of(element)))

    def add_machine_device(self, tag: str) -> None:
        """A device that only a machine has."""
        self._machine_devices[tag] += 1

    @property
    def machine_devices(self) -> tuple[str, ...]:
        """Their tags, with how many there are of each if more than one."""
        return tuple(
            tag if count == 1 else f"{tag} ({count})" for tag, count in sorted(self._machine_devices.items())
        )

    @property
    def unknown(self) -> tuple[UnknownElement, ...]:
        return tuple(self._unknown)


def xpath_of(element: etree._Element) -> str:
    return element.getroottree().getpath(element)


def line_of(element: etree._Element) -> int:
    return int(cast(int | None, element.sourceline) or 0)


class Node:
    """One element. ``attribute``, ``child`` and ``children`` take; ``kept`` answers with what was not taken."""

    def __init__(self, element: etree._Element, report: Report) -> None:
        self.tag = str(element.tag)
        self._element = element
        self._report = report
        self._attributes: set[str] = set()
        self._by_tag: dict[str, list[etree._Element]] = {}
        for child in element:
            self._by_tag.setdefault(str(child.tag), []).append(child)
        self._taken: set[str] = set()
        self._single: dict[str, Node] = {}
        self._answered = False

    def invalid(self, reason: object, *, attribute: str | None = None) -> InvalidXml:
        """The error to raise about this element, or about one attribute of it."""
        suffix = f"/@{attribute}" if attribute else ""
        return InvalidXml(xpath=xpath_of(self._element) + suffix, line=line_of(self._element), reason=reason)

    def attribute(self, name: str, read: Callable[[str], Value]) -> Value | None:
        """An attribute's value, or None when there is none."""
        self._attributes.add(name)
        text = self._element.get(name)
        if text is None:
            return None
        try:
            return read(text)
        except ValueError as error:
            raise self.invalid(error, attribute=name) from error

    def required(self, name: str, read: Callable[[str], Value]) -> Value:
        """An attribute that must be there."""
        value = self.attribute(name, read)
        if value is None:
            raise self.invalid(f"the attribute {name} is missing")
        return value

    def drop(self, *names: str) -> None:
        """Take attributes whose values are not wanted."""
        self._attributes.update(names)

    @property
    def raw_text(self) -> str:
        """The element's text as it stands."""
        return self._element.text or ""

    def text(self, read: Callable[[str], Value]) -> Value:
        """The element's text, checked."""
        if len(self._element):
            raise self.invalid("text is expected here, and no elements")
        try:
            return read(self.raw_text)
        except ValueError as error:
            raise self.invalid(error) from error

    def scaled(self, read: Callable[[str, str], Value], *, unit: str, number: str | None = None) -> Value:
        """A number with its unit in an attribute: the text, or the attribute called ``number``."""
        name = "unit" if number is None else "units"
        self.drop(name, *([number] if number else []))
        text = self.raw_text if number is None else self._element.get(number, "")
        try:
            return read(text, self._element.get(name, unit))
        except ValueError as error:
            raise self.invalid(error, attribute=number) from error

    def children(self, tag: str) -> list["Node"]:
        """All children with this tag; whoever asks keeps, or refuses, what they do not take of each."""
        self._taken.add(tag)
        return [Node(element, self._report) for element in self._by_tag.get(tag, ())]

    def child(self, tag: str) -> "Node | None":
        """The only child with this tag, or None."""
        nodes = self.children(tag)
        if len(nodes) > 1:
            raise nodes[1].invalid(f"there is more than one <{local_name(tag)}>")
        if not nodes:
            return None
        self._single[tag] = nodes[0]
        return nodes[0]

    def child_text(self, tag: str, read: Callable[[str], Value]) -> Value | None:
        """The text of the only child with this tag, or None."""
        node = self.child(tag)
        return None if node is None else node.text(read)

    @property
    def has_elements(self) -> bool:
        return len(self._element) > 0

    def flag(self, tag: str) -> bool:
        """Whether there is a child with this tag, as in <readonly/>."""
        return self.child(tag) is not None

    def fragments(self) -> list[etree._Element]:
        """All child elements as they are; the caller answers for them."""
        self._taken.update(self._by_tag)
        return list(self._element)

    def kept(self) -> Kept:
        """What was not taken, here and in children that were taken one at a time. Call it last, once.

        Whoever calls it keeps the answer; the parent element does not say it again.
        """
        self._answered = True
        harmless = HARMLESS.get(self.tag, _NONE)
        attributes = tuple(self._kept_attributes(harmless))
        elements = tuple(self._kept_elements(harmless))
        children = tuple(
            (tag, left)
            for tag, child in sorted(self._single.items())
            if not child._answered and (left := child.kept())
        )
        if not (attributes or elements or children):
            return NOTHING_KEPT  # the usual case, hundreds of times a domain: one object for all
        return Kept(attributes=attributes, elements=elements, children=children)

    def _kept_attributes(self, harmless: frozenset[str]) -> Iterable[tuple[str, str]]:
        for name, value in sorted(_attributes(self._element).items()):
            if name not in self._attributes:
                if f"@{name}" not in harmless:
                    self._report.add(self._element, f"/@{name}")
                yield name, value

    def _kept_elements(self, harmless: frozenset[str]) -> Iterable[str]:
        for element in sorted(self._element, key=rank_in(self.tag) or _as_written):
            if element.tag not in self._taken:
                if element.tag not in harmless:
                    self._report.add(element)
                elif self.tag == "devices":
                    self._report.add_machine_device(str(element.tag))
                yield fragment_text(element)

    def report(self, attribute: str = "") -> None:
        """Tell that this element, or an attribute of it, is understood and kept, and changes nothing here."""
        self._report.add(self._element, f"/@{attribute}" if attribute else "")

    def report_child(self, tag: str) -> None:
        """The same of a child that was taken."""
        if tag in self._single:
            self._single[tag].report()

    def forget(self) -> None:
        """Keep nothing of this element: it says what its absence says, and will not be written again."""
        self._answered = True

    def close(self) -> None:
        """Refuse whatever was not taken: for elements whose every word is known."""
        for name in _attributes(self._element):
            if name not in self._attributes:
                raise self.invalid(f"the attribute {name} means nothing here")
        for element in self._element:
            if element.tag not in self._taken:
                raise Node(element, self._report).invalid(f"<{local_name(str(element.tag))}> means nothing here")


def _as_written(_element: etree._Element) -> int:
    return 0


def _attributes(element: etree._Element) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in element.attrib.items()}


def local_name(tag: str) -> str:
    return tag.rpartition("}")[2]
