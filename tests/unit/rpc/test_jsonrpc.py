# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC messages: golden bytes, batches, and what Vdsm's clients are told of bad ones."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.rpc.errors import BadMessage
from covirt.rpc.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    MAX_BATCH,
    PARSE_ERROR,
    Answer,
    Json,
    Request,
    failure,
    parse,
    refusal,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
numbers = st.none() | st.integers() | st.text()
requests = st.builds(
    Request,
    method=st.text(),
    params=st.none() | st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    id=numbers,
)
answers = st.builds(Answer, id=numbers, result=values) | st.builds(
    Answer, id=numbers, code=st.integers(-32800, 2000).filter(bool), message=st.text()
)


def test_bytes_of_an_event() -> None:
    event = Request(method="|virt|VM_status|1", params={"1": {"status": "Up"}, "notify_time": 7})
    assert event.encode() == (
        b'{"jsonrpc":"2.0","method":"|virt|VM_status|1","params":{"1":{"status":"Up"},"notify_time":7}}'
    )


def test_bytes_of_answers() -> None:
    assert Answer(id="a", result=True).encode() == b'{"jsonrpc":"2.0","id":"a","result":true}'
    assert Answer(id="a", result=None).encode() == b'{"jsonrpc":"2.0","id":"a","result":null}'
    refused = Answer(id="a", code=1, message="Virtual machine does not exist")
    assert refused.encode() == (
        b'{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":"Virtual machine does not exist"}}'
    )


@given(requests | answers)
def test_messages_come_back_as_they_were(message: Request | Answer) -> None:
    assert parse(message.encode()) == [message]


@given(st.lists(requests, min_size=1, max_size=3))
def test_batches_come_back_as_they_were(batch: list[Request]) -> None:
    assert parse(b"[" + b",".join(one.encode() for one in batch) + b"]") == batch


@given(st.binary(max_size=100) | values.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_refused_with_a_code(data: bytes) -> None:
    try:
        refused = [one for one in parse(data) if isinstance(one, BadMessage)]
    except BadMessage as error:
        refused = [error]
    assert {json.loads(refusal(one).encode())["error"]["code"] for one in refused} <= {PARSE_ERROR, INVALID_REQUEST}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{", PARSE_ERROR),
        (b"\xff", PARSE_ERROR),
        (b'{"jsonrpc":"2.0","method":"a","params":[NaN]}', PARSE_ERROR),
        (b'{"jsonrpc":"2.0","method":"a","params":[1e999]}', PARSE_ERROR),
        (b"[" * 100_000, PARSE_ERROR),
        (b"9" * 100_000, PARSE_ERROR),
        (b"[]", INVALID_REQUEST),
        (b"[" + b",".join([b"1"] * (MAX_BATCH + 1)) + b"]", INVALID_REQUEST),
    ],
)
def test_no_message_at_all(data: bytes, code: int) -> None:
    with pytest.raises(BadMessage) as caught:
        parse(data)
    assert caught.value.code == code


@pytest.mark.parametrize("value", [b"[]", b"{}", b"1", b'{"":{}}'])
def test_values_are_counted_before_they_are_read(value: bytes) -> None:
    body = b'{"jsonrpc":"2.0","method":"a","params":[%s]}'
    assert parse(body % b",".join([value] * 200), max_values=1000)
    with pytest.raises(BadMessage, match="more than 1000 values") as caught:
        parse(body % b",".join([value] * 1001), max_values=1000)
    assert caught.value.code == INVALID_REQUEST


@pytest.mark.parametrize(
    "value",
    [
        1,
        {},
        {"method": "a"},
        {"jsonrpc": "1.0", "method": "a"},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "method": 1},
        {"jsonrpc": "2.0", "method": "a", "params": 1},
        {"jsonrpc": "2.0", "method": "a", "id": {}},
        {"jsonrpc": "2.0", "method": "a", "id": True},
        {"jsonrpc": "2.0", "id": 1, "error": 1},
        {"jsonrpc": "2.0", "id": 1, "error": {"message": "x"}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 0}},
    ],
)
def test_a_bad_member_does_not_spoil_the_batch(value: Json) -> None:
    bad, good = parse(json.dumps([value, {"jsonrpc": "2.0", "method": "a", "id": 1}]).encode())
    assert isinstance(bad, BadMessage)
    assert bad.code == INVALID_REQUEST
    assert good == Request(method="a", id=1)


def test_refusals_have_vdsm_s_form() -> None:
    refused = refusal(BadMessage(reason="the batch is empty", code=INVALID_REQUEST))
    assert refused.id is None
    assert refused.message.startswith("Invalid request: {'reason': ")
    assert failure(7, INTERNAL_ERROR, "see the log").message == "Internal JSON-RPC error: {'reason': 'see the log'}"


def test_what_is_no_json_is_not_sent() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Answer(id=1, result=float("inf")).encode()
