# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What XML from outside is held to: before a parser sees it, how one is to be set, and what it may have made."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from covirt.common.errors import InvalidRequest

MAX_BYTES: Final = 4 * 1024 * 1024  # the longest string of libvirt's wire protocol (REMOTE_STRING_MAX)
MAX_DEPTH: Final = 64  # libvirt's own elements nest to about ten
MAX_ELEMENTS: Final = 50_000

# Arguments of lxml's XMLParser: nothing is fetched, nothing expands, nothing is repaired.
PARSER_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "encoding": "utf-8",  # the text was decoded already, so what its XML declaration says is not true any more
        "resolve_entities": False,
        "no_network": True,
        "load_dtd": False,
        "dtd_validation": False,
        "huge_tree": False,
        "recover": False,
        "remove_pis": True,
        "collect_ids": False,
    }
)

_PROLOG_PART: Final = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class UnsafeXml(InvalidRequest):
    """For whoever reads it to tell in words of his own."""

    template = "{reason}"


def guarded(text: str) -> bytes:
    """What a parser may be given. Raises UnsafeXml."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise UnsafeXml(reason="it is not UTF-8 text") from error
    if len(data) > MAX_BYTES:
        raise UnsafeXml(reason=f"it has {len(data)} bytes, and the limit is {MAX_BYTES}")
    if has_doctype(data):
        raise UnsafeXml(reason="a DOCTYPE is not allowed")
    return data


def bounded(root: Any) -> Iterator[Any]:
    """Each node of an lxml tree, comments too; a parent may be changed once it was given. Iterative, for its depth is
    not ours yet. Raises UnsafeXml."""
    pending, count = [(root, 1)], 0
    while pending:
        element, depth = pending.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise UnsafeXml(reason=f"elements are nested deeper than {MAX_DEPTH} (line {element.sourceline})")
        if count > MAX_ELEMENTS:
            raise UnsafeXml(reason=f"it has more than {MAX_ELEMENTS} elements")
        pending.extend((child, depth + 1) for child in element)
        yield element


def has_doctype(data: bytes) -> bool:
    """Whether a DOCTYPE stands in front of the root element; XML's grammar allows it nowhere else.

    lxml leaves entities in text alone, but libxml2 expands those in attribute values whatever it is told.
    """
    position = len(_BYTE_ORDER_MARK) if data.startswith(_BYTE_ORDER_MARK) else 0
    while match := _PROLOG_PART.match(data, position):
        position = match.end()
    return data.startswith(b"<!", position)
