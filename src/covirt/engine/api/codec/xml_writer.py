# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as oVirt's XML."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from covirt.engine.api.codec.scalars import UNSPEAKABLE, date_text
from covirt.engine.api.codec.table import TYPES, ApiType, Field, Kind
from covirt.engine.api.node import Node, NodeList, Value, sequence

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_SPECIAL: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", ord("\r"): "&#13;"}


def emit_xml(answer: Node | NodeList, prefix: str) -> bytes:
    """The document. ``prefix`` stands before each path to make an href."""
    writer = _Writer(prefix)
    if isinstance(answer, NodeList):
        writer.list(answer)
    else:
        writer.node(TYPES[answer.type].tag, answer)
    return (_DECLARATION + "".join(writer.parts)).encode()


class _Writer:
    def __init__(self, prefix: str) -> None:
        self.parts: list[str] = []
        self._prefix = prefix

    def list(self, answer: NodeList) -> None:
        kind = TYPES[answer.type]
        wrapper = answer.tag or kind.plural
        self.parts.append(f"<{wrapper}>")
        for node in answer.nodes:
            self.node(kind.tag, node)
        self.parts.append(f"</{wrapper}>")

    def node(self, tag: str, node: Node) -> None:
        start = f"<{tag}"
        if node.path is not None:
            start += f' href="{_escaped(self._href(node.path))}"'
        if node.id is not None:
            start += f' id="{_escaped(node.id)}"'
        self.parts.append(start + ">")
        before = len(self.parts)
        self._actions(node)
        self._links(node)
        self._values(TYPES[node.type], node.values)
        if len(self.parts) == before:
            self.parts[-1] = start + "/>"
        else:
            self.parts.append(f"</{tag}>")

    def _href(self, path: str) -> str:
        return f"{self._prefix}/{path}" if path else self._prefix

    def _actions(self, node: Node) -> None:
        if node.actions:
            links = (
                f'<link href="{_escaped(self._href(f"{node.path}/{name}"))}" rel="{name}"/>' for name in node.actions
            )
            self.parts.append(f"<actions>{''.join(links)}</actions>")

    def _links(self, node: Node) -> None:
        for link in node.links:
            self.parts.append(f'<link href="{_escaped(self._href(link.path))}" rel="{link.rel}"/>')

    def _values(self, kind: ApiType, values: Mapping[str, Value]) -> None:
        if unknown := values.keys() - kind.fields.keys():
            raise KeyError(f"{kind.name} has no {', '.join(sorted(unknown))}")
        for name, field in kind.fields.items():
            value = values.get(name)
            if value is None:
                continue
            if field.item is None:
                self._value(name, field, value)
                continue
            self.parts.append(f"<{name}>")
            for each in sequence(value):
                self._value(field.item, field, each)
            self.parts.append(f"</{name}>")

    def _value(self, tag: str, field: Field, value: Value) -> None:
        if isinstance(value, Node):
            self.node(tag, value)
        elif isinstance(value, Mapping):
            self.parts.append(f"<{tag}>")
            self._values(TYPES[field.type], value)
            self.parts.append(f"</{tag}>")
        else:
            self.parts.append(f"<{tag}>{_text(field, value)}</{tag}>")


def _text(field: Field, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return date_text(value)
    if field.kind is Kind.DECIMAL and isinstance(value, int | float):
        return f"{float(value)}"
    return _escaped(str(value))


def _escaped(text: str) -> str:
    return UNSPEAKABLE.sub("\N{REPLACEMENT CHARACTER}", text).translate(_SPECIAL)
