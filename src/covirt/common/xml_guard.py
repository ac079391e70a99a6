# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What XML from outside is held to before a parser sees it."""

import re
from typing import Final

MAX_BYTES: Final = 4 * 1024 * 1024  # the longest string of libvirt's wire protocol (REMOTE_STRING_MAX)
MAX_DEPTH: Final = 64  # libvirt's own elements nest to about ten
MAX_ELEMENTS: Final = 50_000

_PROLOG_PART: Final = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def has_doctype(data: bytes) -> bool:
    """Whether a DOCTYPE stands in front of the root element; XML's grammar allows it nowhere else.

    lxml leaves entities in text alone, but libxml2 expands those in attribute values whatever it is told.
    """
    position = len(_BYTE_ORDER_MARK) if data.startswith(_BYTE_ORDER_MARK) else 0
    while match := _PROLOG_PART.match(data, position):
        position = match.end()
    return data.startswith(b"<!", position)
