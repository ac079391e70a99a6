# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes become oVirt's XML and JSON; bodies come from either, and mean the same."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from covirt.common.errors import InvalidRequest
from covirt.engine.api.codec import emit_json, emit_xml, read_json, read_xml
from covirt.engine.api.codec.scalars import UNSPEAKABLE
from covirt.engine.api.codec.table import ENUMS, TYPES, Field, Kind
from covirt.engine.api.errors import BadBody, BadValue, WrongElement
from covirt.engine.api.node import Link, Node, NodeList

_NODE = Node(
    type="Vm",
    id="1-2",
    path="vms/1-2",
    values={
        "name": 'a<b & "c"',
        "comment": "",
        "memory": 1 << 33,
        "stateless": False,
        "status": "up",
        "start_time": datetime(2026, 11, 22, 12, tzinfo=UTC),
        "cpu": {"topology": {"cores": 2, "sockets": None}, "speed": 2},
        "cluster": Node(type="Cluster", id="c", path="clusters/c"),
        "custom_properties": [{"name": "k", "value": "v"}],
        "os": {"boot": {"devices": ["hd", "network"]}},
        "nics": [],
        "host": None,
    },
    links=(Link(rel="nics", path="vms/1-2/nics"),),
    actions=("start",),
)


def test_xml_of_an_object() -> None:
    assert emit_xml(_NODE, "/api").decode() == (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        '<vm href="/api/vms/1-2" id="1-2"><actions><link href="/api/vms/1-2/start" rel="start"/></actions>'
        '<link href="/api/vms/1-2/nics" rel="nics"/>'
        "<name>a&lt;b &amp; &quot;c&quot;</name><comment></comment>"
        '<cluster href="/api/clusters/c" id="c"/>'
        "<cpu><speed>2.0</speed><topology><cores>2</cores></topology></cpu>"
        "<custom_properties><custom_property><name>k</name><value>v</value></custom_property></custom_properties>"
        "<memory>8589934592</memory><nics></nics>"
        "<os><boot><devices><device>hd</device><device>network</device></devices></boot></os>"
        "<start_time>2026-11-22T12:00:00.000+00:00</start_time><stateless>false</stateless><status>up</status></vm>"
    )


def test_json_of_an_object_has_strings_for_booleans_and_small_integers() -> None:
    assert json.loads(emit_json(_NODE, "/api")) == {
        "actions": {"link": [{"href": "/api/vms/1-2/start", "rel": "start"}]},
        "name": 'a<b & "c"',
        "comment": "",
        "memory": 8589934592,
        "stateless": "false",
        "status": "up",
        "start_time": 1795348800000,
        "cpu": {"topology": {"cores": "2"}, "speed": 2.0},
        "cluster": {"href": "/api/clusters/c", "id": "c"},
        "custom_properties": {"custom_property": [{"name": "k", "value": "v"}]},
        "os": {"boot": {"devices": {"device": ["hd", "network"]}}},
        "nics": {},
        "link": [{"href": "/api/vms/1-2/nics", "rel": "nics"}],
        "href": "/api/vms/1-2",
        "id": "1-2",
    }


def test_lists() -> None:
    one = NodeList(type="Vm", nodes=[Node(type="Vm", id="1")])
    none = NodeList(type="Vm", nodes=[])
    assert emit_xml(one, "/api").endswith(b'<vms><vm id="1"/></vms>')
    assert emit_xml(none, "/api").endswith(b"<vms></vms>")
    assert json.loads(emit_json(one, "/api")) == {"vm": [{"id": "1"}]}
    assert json.loads(emit_json(none, "/api")) == {}


def test_what_xml_cannot_say_is_replaced() -> None:
    text = emit_xml(Node(type="Vm", values={"name": "a\0\x1b\ufffe\r"}), "").decode()
    assert "<name>a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}&#13;</name>" in text


def test_a_field_that_the_type_has_not_is_a_bug() -> None:
    with pytest.raises(KeyError):
        emit_xml(Node(type="Vm", values={"nonsense": 1}), "")
    with pytest.raises(KeyError):
        emit_json(Node(type="Vm", values={"nonsense": 1}), "")


_XML = b"""<?xml version="1.0"?>
<vm id="7"><!-- said --><name>so<!-- no -->up</name><link rel="nics" href="/x"/><unknown><deep/></unknown>
 <memory> 1024 </memory><stateless>TRUE</stateless><type>SERVER</type><comment/>
 <start_time>2026-11-22T12:00:00.5+01:00</start_time>
 <cluster id="c"><name>Default</name></cluster><custom_properties/>
 <os><boot><devices><device>hd</device></devices></boot></os>
 <nics><nic><name>n1</name></nic><nic/></nics></vm>"""
_BODY = {
    "id": "7",
    "name": "soup",
    "memory": 1024,
    "stateless": True,
    "type": "server",
    "comment": "",
    "start_time": datetime(2026, 11, 22, 11, 0, 0, 500000, tzinfo=UTC),
    "cluster": {"id": "c", "name": "Default"},
    "custom_properties": [],
    "os": {"boot": {"devices": ["hd"]}},
    "nics": [{"name": "n1"}, {}],
}


def test_xml_from_a_client() -> None:
    assert read_xml("Vm", _XML) == _BODY


@pytest.mark.parametrize(
    "document",
    [
        # as oVirt writes it
        {
            "memory": 1024,
            "stateless": "true",
            "os": {"boot": {"devices": {"device": ["hd"]}}},
            "nics": {"nic": [{"name": "n1"}, {}]},
            "custom_properties": {},
        },
        # as some clients do: native values, bare lists, single items
        {
            "memory": "1024",
            "stateless": True,
            "os": {"boot": {"devices": {"device": "hd"}}},
            "nics": [{"name": "n1"}, {}],
            "custom_properties": [],
        },
    ],
)
def test_json_from_a_client(document: dict[str, Any]) -> None:
    document |= {
        "id": "7",
        "name": "soup",
        "type": "server",
        "comment": "",
        "start_time": 1795345200500,
        "cluster": {"id": "c", "name": "Default"},
        "unknown": {"x": [1]},
        "host": None,
    }
    assert read_json("Vm", json.dumps(document).encode()) == _BODY


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", BadBody),
        (b"<vm>", BadBody),
        (b"<vm/><vm/>", BadBody),
        (b"\xff\xfe<vm/>", BadBody),
        (b"<disk/>", WrongElement),
        (b'<!DOCTYPE vm [<!ENTITY x SYSTEM "file:///etc/passwd">]><vm><name>&x;</name></vm>', BadBody),
        (b"<vm><name>&x;</name></vm>", BadBody),
        (b"<vm>" * 70 + b"</vm>" * 70, BadBody),
        (b"<vm><memory>much</memory></vm>", BadValue),
        (b"<vm><memory>9223372036854775808</memory></vm>", BadValue),
        (b"<vm><memory/></vm>", BadValue),
        (b"<vm><stateless>maybe</stateless></vm>", BadValue),
        (b"<vm><status>running</status></vm>", BadValue),
        (b"<vm><start_time>noon</start_time></vm>", BadValue),
        (b"<vm><cpu><speed>nan</speed></cpu></vm>", BadValue),
    ],
)
def test_bad_xml_is_refused(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_xml("Vm", body)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", BadBody),
        (b"[]", BadBody),
        (b"{", BadBody),
        (b'{"memory": NaN}', BadBody),
        (b"[" * 100_000, BadBody),
        (b'{"cpu": "x"}', BadBody),
        (b'{"memory": 1.5}', BadValue),
        (b'{"memory": 1e400}', BadValue),
        (b'{"name": 1e400}', BadValue),
        (b'{"memory": true}', BadValue),
        (b'{"name": {"x": 1}}', BadValue),
        (b'{"name": "a\\u0000"}', BadValue),
        (b'{"name": "\\ud800"}', BadValue),
        (b'{"start_time": 1e300}', BadValue),
        (b'{"status": "running"}', BadValue),
    ],
)
def test_bad_json_is_refused(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_json("Vm", body)


def test_a_refusal_says_what_is_allowed() -> None:
    with pytest.raises(BadValue, match="'running' is not a valid value for 'status': there are down, image_locked"):
        read_xml("Vm", b"<vm><status>running</status></vm>")


_TEXT = st.text(max_size=8).filter(lambda text: not UNSPEAKABLE.search(text))
_PLAIN: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.STRING: _TEXT,
    Kind.INTEGER: st.integers(-(2**63), 2**63 - 1),
    Kind.DECIMAL: st.floats(allow_nan=False, allow_infinity=False),
    Kind.BOOLEAN: st.booleans(),
    Kind.DATE: st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)).map(
        lambda date: date.replace(tzinfo=UTC, microsecond=date.microsecond // 1000 * 1000)
    ),
}


def _values(kind: str, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: _field(field, depth) for name, field in TYPES[kind].fields.items()}
    some = st.lists(st.sampled_from(sorted(fields) or ["none"]), max_size=4, unique=True)
    return some.flatmap(lambda names: st.fixed_dictionaries({name: fields[name] for name in names if name in fields}))


def _field(field: Field, depth: int) -> st.SearchStrategy[Any]:
    if field.kind is Kind.ENUM:
        one: st.SearchStrategy[Any] = st.sampled_from(sorted(ENUMS[field.type]))
    elif field.kind is Kind.OBJECT:
        one = st.just({}) if depth == 0 else st.deferred(lambda: _values(field.type, depth - 1))
    else:
        one = _PLAIN[field.kind]
    return one if field.item is None else st.lists(one, max_size=2)


_ANY = st.sampled_from(sorted(TYPES)).flatmap(lambda kind: st.tuples(st.just(kind), _values(kind, 2)))


@given(_ANY)
@settings(max_examples=150)
def test_what_is_written_is_read_back(case: tuple[str, dict[str, Any]]) -> None:
    kind, values = case
    node = Node(type=kind, values=values)
    assert read_xml(kind, emit_xml(node, "/api")) == values
    assert read_json(kind, emit_json(node, "/api")) == values
    etree.fromstring(emit_xml(node, "/api"))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=200)
def test_no_body_breaks_the_readers(body: bytes) -> None:
    for read in (read_xml, read_json):
        with contextlib.suppress(InvalidRequest):
            read("Vm", body)
