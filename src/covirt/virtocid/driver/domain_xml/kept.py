# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is left of an element after all that is known in it was read; it goes back into the XML unchanged."""

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Attributes and elements that mean nothing here, but that some client wrote and expects to find again."""

    attributes: tuple[tuple[str, str], ...] = ()
    elements: tuple[str, ...] = ()  # each one serialised, without white space between its elements
    children: tuple[tuple[str, "Kept"], ...] = ()  # by tag: leftovers of the elements that were themselves read

    def __bool__(self) -> bool:
        return bool(self.attributes or self.elements or self.children)


NOTHING_KEPT: Final = Kept()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownElement:
    """An element or attribute that nobody here knows or acts on; it is kept, and worth a line in the log."""

    xpath: str
    line: int = field(default=0)
