# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The very bytes of Vdsm's own client (captured at Vdsm fd4b0df20, over mutual TLS), and what it is answered."""

import json
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from covirt.rpc.jsonrpc import Json
from covirt.rpc.server import RpcServer
from tests.support.raw_stomp import EVENTS, PlayService

# vdsm-client --flow-id f1 Host getVMList
CONNECT: Final = b"CONNECT\naccept-version:1.2\nheart-beat:0,24000\n\n\x00"
SUBSCRIBE: Final = (
    b"SUBSCRIBE\ndestination:7bcfa9b7-c98f-43ee-a529-84413f1e2eed\nack:auto\n"
    b"id:44be88db-a908-4d07-9e74-47720c072a32\n\n\x00"
)
CALL: Final = (
    b"SEND\ndestination:jms.topic.vdsm_requests\ncontent-type:application/json\n"
    b"reply-to:7bcfa9b7-c98f-43ee-a529-84413f1e2eed\novirtCorrelationId:f1\ncontent-length:108\n\n"
    b'[{"jsonrpc": "2.0", "method": "Host.getVMList", "params": {}, "id": "1fce7e56-7210-4be3-9390-586f6ea9fc46"}]'
    b"\x00"
)
# client.subscribe("jms.queue.events", queue); client.unsubscribe(...)
SUBSCRIBE_EVENTS: Final = (
    b"SUBSCRIBE\ndestination:jms.queue.events\nack:auto\nid:49c979de-6356-41ee-82e8-396be8cbde03\n\n\x00"
)
UNSUBSCRIBE_EVENTS: Final = b"UNSUBSCRIBE\nid:49c979de-6356-41ee-82e8-396be8cbde03\n\n\x00"


@pytest.fixture
def service() -> PlayService:
    return PlayService()


@pytest.fixture
def server(service: PlayService) -> Iterator[RpcServer]:
    server = RpcServer(service, tls=None, listen="127.0.0.1", port=0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: RpcServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        yield client


def expect(client: socket.socket, expected: bytes) -> None:
    heard = b""
    while len(heard) < len(expected) and (data := client.recv(len(expected) - len(heard))):
        heard += data
    assert heard == expected


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_call_of_vdsm_client(client: socket.socket, service: PlayService, step: int) -> None:
    said = CONNECT + SUBSCRIBE + CALL
    for start in range(0, len(said), step):
        client.sendall(said[start : start + step])
    expect(client, b"CONNECTED\nversion:1.2\nheart-beat:24000,0\n\n\x00")
    body = b'{"jsonrpc":"2.0","id":"1fce7e56-7210-4be3-9390-586f6ea9fc46","result":{}}'
    expect(
        client,
        b"MESSAGE\ndestination:7bcfa9b7-c98f-43ee-a529-84413f1e2eed\ncontent-type:application/json\n"
        b"subscription:44be88db-a908-4d07-9e74-47720c072a32\ncontent-length:%d\n\n%s\x00" % (len(body), body),
    )
    assert [flow_id for _, _, flow_id in service.calls] == ["f1"]


def test_events_for_vdsm_client(client: socket.socket, server: RpcServer) -> None:
    client.sendall(CONNECT + SUBSCRIBE_EVENTS + SUBSCRIBE + CALL)
    expect(client, b"CONNECTED\nversion:1.2\nheart-beat:24000,0\n\n\x00")
    while not client.recv(1000).endswith(b"\x00"):  # the answer: by now the events are subscribed to
        pass
    params: dict[str, Json] = {"c1": {"status": "Powering up"}, "notify_time": 2149737002}
    server.publish(EVENTS, "|virt|VM_status|c1", params)
    body = json.dumps({"jsonrpc": "2.0", "method": "|virt|VM_status|c1", "params": params}, separators=(",", ":"))
    expect(
        client,
        b"MESSAGE\ndestination:jms.queue.events\ncontent-type:application/json\n"
        b"subscription:49c979de-6356-41ee-82e8-396be8cbde03\ncontent-length:%d\n\n%s\x00"
        % (len(body), body.encode()),
    )
    client.sendall(UNSUBSCRIBE_EVENTS + CALL)
    while not client.recv(1000).endswith(b"\x00"):
        pass
    server.publish(EVENTS, "|virt|VM_status|c1", params)
    client.sendall(b"DISCONNECT\nreceipt:1\n\n\x00")
    expect(client, b"RECEIPT\nreceipt-id:1\n\n\x00")
    assert client.recv(1) == b""
