# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which of XML and JSON a client wants, and which it sent."""

from typing import Final

from covirt.engine.api.errors import NotAcceptable, WrongMediaType, printable

XML: Final = "application/xml"
JSON: Final = "application/json"
_ALSO_XML: Final = frozenset({XML, "text/xml", "application/*", "*/*", ""})


def answer_type(accept: str) -> str:
    """XML unless JSON is liked better. Raises NotAcceptable."""
    best: dict[str, float] = {}
    for part in accept.split(","):
        media_type, *parameters = (each.strip().lower() for each in part.split(";"))
        found = XML if media_type in _ALSO_XML else JSON if media_type == JSON else ""
        best[found] = max(best.get(found, 0), _quality(parameters))
    if best.get(JSON, 0) > best.get(XML, 0):
        return JSON
    if not best.get(XML):
        raise NotAcceptable(accept=printable(accept))
    return XML


def body_type(content_type: str, data: bytes) -> str:
    """What the body is; where the client does not say, it is seen. Raises WrongMediaType."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in (XML, "text/xml"):
        return XML
    if media_type == JSON:
        return JSON
    if media_type:
        raise WrongMediaType(media_type=printable(media_type))
    return JSON if data.lstrip().startswith(b"{") else XML


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1
