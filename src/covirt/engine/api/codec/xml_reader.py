# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""oVirt's XML from clients: what the table knows of is read, what it does not know is left out, as oVirt does."""

from typing import Any

from lxml import etree

from covirt.common.xml_guard import PARSER_OPTIONS, UnsafeXml, bounded, guarded
from covirt.engine.api.codec.scalars import scalar
from covirt.engine.api.codec.table import TYPES, Field, Kind
from covirt.engine.api.errors import BadBody, WrongElement
from covirt.engine.api.node import Body, BodyValue


def read_xml(type_name: str, data: bytes) -> Body:
    """The body of a request that is to hold one object of the type. Raises BadBody, WrongElement and BadValue."""
    root = _parsed(data)
    expected = TYPES[type_name].tag
    if root.tag != expected:
        raise WrongElement(found=root.tag, expected=expected)
    return _object(type_name, root)


def _parsed(data: bytes) -> Any:
    try:
        root = etree.fromstring(guarded(data.decode("utf-8-sig")), etree.XMLParser(**PARSER_OPTIONS))
        for _ in bounded(root):
            pass  # only its bounds count
    except UnicodeDecodeError as error:
        raise BadBody(reason="it is not UTF-8 text") from error
    except (UnsafeXml, etree.XMLSyntaxError) as error:
        raise BadBody(reason=str(error)) from error
    return root


def _object(type_name: str, element: Any) -> Body:
    found: Body = {name: element.get(name) for name in ("id", "href") if element.get(name) is not None}
    fields = TYPES[type_name].fields
    for child in element.iterchildren(tag=etree.Element):
        field = fields.get(child.tag)
        if field is None:
            continue
        if field.item is None:
            found[field.name] = _value(field, child)
        else:
            found[field.name] = [_value(field, each) for each in child.iterchildren(tag=etree.Element)]
    return found


def _value(field: Field, element: Any) -> BodyValue:
    if field.kind is Kind.OBJECT:
        return _object(field.type, element)
    return scalar(field, "".join(element.itertext(etree.Element)))
