# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Fuzz what peers send to covirt-host's port: ``python -m tests.fuzz.rpc --seconds 60``.

An input is fed to the frame decoder in pieces, its frames to the broker, and their bodies to the JSON-RPC parser.
Anything but the errors that they promise is a finding, and ends the run with a traceback.
"""

import random
import time
from typing import Final

from covirt.rpc.broker import Broker, Client
from covirt.rpc.errors import BadFrame, BadMessage
from covirt.rpc.jsonrpc import Answer, Request, parse, refusal
from covirt.rpc.stomp import Decoder, Frame, Limits
from tests.fuzz._command import main

_MAX_INPUT_BYTES: Final = 4096
_LIMITS: Final = Limits(header_bytes=256, headers=8, body_bytes=1024)
_CONNECT: Final = Frame(command="CONNECT", headers={"accept-version": "1.2", "heart-beat": "0,24000"})
_SUBSCRIBE: Final = Frame(command="SUBSCRIBE", headers={"destination": "a:b\\\n", "id": "1", "receipt": "2"})
_SEND: Final = Frame(
    command="SEND",
    headers={"destination": "jms.topic.vdsm_requests", "reply-to": "a", "ovirtCorrelationId": "f"},
    body=b'[{"jsonrpc":"2.0","method":"Host.ping2","params":{"a":[1.5e3,null,"\\ud800"]},"id":"1"}]',
)
_SEEDS: Final = (
    (_CONNECT.encode() + _SUBSCRIBE.encode() + b"\n" + _SEND.encode()),
    _CONNECT.encode() + b"SEND\r\ndestination:jms.topic.vdsm_requests\r\n\r\n{}\0\r\n",
    _CONNECT.encode() + b"UNSUBSCRIBE\nid:1\n\n\0DISCONNECT\nreceipt:9\n\n\0",
    Answer(id=1, result=[{}]).encode() + Answer(id="x", code=1, message="no").encode(),
)
_PIECES: Final = (
    b"\0", b"\n", b"\n\n", b"\r\n", b":", b"\\", b"\\c", b"\xff", b"content-length:5\n", b"heart-beat:1,1\n",
    b"SEND\n", b"[", b"{", b'"', b"1e999", b"NaN", b"\\ud800", b"null", b"99999999999999999999",
)  # fmt: skip


def one_input(data: bytes) -> None:
    """One client's whole life; the first byte says how it is cut into pieces."""
    step = data[0] + 1 if data else 1
    broker, client, decoder = Broker(), Client(name="fuzz"), Decoder(_LIMITS)
    frames: list[Frame] = []
    try:
        for start in range(1, len(data), step):
            frames += [frame for frame in decoder.feed(data[start : start + step]) if frame is not None]
            assert decoder.buffered_bytes <= _LIMITS.header_bytes + _LIMITS.body_bytes + 2 * step
    except BadFrame:
        pass
    for frame in frames:
        (again,) = Decoder().feed(frame.encode())
        assert again is not None
        assert (again.command, again.body) == (frame.command, frame.body)
        if not client.leaving:
            _one_frame(broker, client, frame)
    broker.forget(client)
    assert broker.events("a:b\\\n", b"") == []
    _one_body(data[1:])


def _one_frame(broker: Broker, client: Client, frame: Frame) -> None:
    outcome = broker.receive(client, frame)
    if outcome.answer is not None:
        (again,) = Decoder().feed(outcome.answer.encode())
        assert again is not None
        assert again.command == outcome.answer.command
    if outcome.call is not None:
        _one_body(outcome.call.body)


def _one_body(body: bytes) -> None:
    try:
        messages = parse(body)
    except BadMessage as error:
        messages = [error]
    for message in messages:
        if isinstance(message, BadMessage):
            assert refusal(message).encode()
        else:
            _comes_back(message)


def _comes_back(message: Request | Answer) -> None:
    try:
        encoded = message.encode()
    except ValueError:  # a number that JSON can write and a float cannot hold, as 1e999
        return
    assert parse(encoded) == [message]


def run_random(*, seconds: float, seed: int) -> int:
    """Damage good inputs for so long; the number of inputs tried."""
    source = random.Random(seed)  # noqa: S311 - nothing secret
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        data = bytearray(source.choice(_SEEDS))
        for _ in range(source.randint(0, 6)):
            place = source.randrange(len(data) + 1)
            if source.random() < 0.6:
                data[place:place] = source.choice(_PIECES)
            else:
                del data[place : place + source.choice((1, 2, 8))]
        one_input(source.randbytes(1) + bytes(data[:_MAX_INPUT_BYTES]))
        count += 1
    return count


if __name__ == "__main__":
    main("rpc", __doc__, one_input=one_input, run_random=run_random, max_input_bytes=_MAX_INPUT_BYTES)
