# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Facts out of XML by XPath, as texts."""

from collections.abc import Sequence
from typing import Final

from lxml import etree

_NAMESPACES: Final = {
    "covirt": "https://covirt.org/xmlns/container/1.0",
    "covirthealth": "https://covirt.org/xmlns/health/1.0",
    "covirtstop": "https://covirt.org/xmlns/stop-cause/1.0",
}


def facts(text: str, *xpaths: str) -> list[str]:
    """What each XPath finds, one after another: attributes and texts as they are."""
    tree = etree.fromstring(text)
    found: list[str] = []
    for xpath in xpaths:
        result = tree.xpath(xpath, namespaces=_NAMESPACES)
        assert isinstance(result, Sequence)
        found += [str(value) for value in ([result] if isinstance(result, str) else result)]
    return found


def fact(text: str, xpath: str) -> str:
    """The one thing that the XPath finds."""
    (value,) = facts(text, xpath)
    return value
