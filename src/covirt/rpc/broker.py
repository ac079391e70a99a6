# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The server's side of STOMP, sans-IO: who has subscribed to what, and which frames a frame leads to.

A request's answer goes to its ``reply-to`` destination (Vdsm: lib/yajsonrpc/stompserver.py), to all
subscribers of it; what is sent to other destinations goes to subscribers of it and of what is above it by dots.
"""

from dataclasses import dataclass, field
from typing import Final

from covirt.rpc.stomp import Frame

# Requests come to these destinations, and to what is below them.
REQUEST_DESTINATIONS: Final = ("jms.topic.vdsm_requests", "jms.topic.vdsm_irs_requests")
FLOW_ID_HEADER: Final = "ovirtCorrelationId"
_SUBSCRIPTIONS: Final = 100  # of one client
_MINIMUM_HEARTBEAT_MS: Final = 1000


@dataclass(eq=False, slots=True)
class Client:
    """One connection. ``heartbeat_out_ms``, ``heartbeat_in_ms``: what was agreed, 0 for none."""

    name: str
    connected: bool = False
    leaving: bool = False  # close when what was said to it is sent
    heartbeat_out_ms: int = 0
    heartbeat_in_ms: int = 0
    subscriptions: dict[str, str] = field(default_factory=dict)  # id -> destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A body sent to where requests go."""

    client: Client
    body: bytes
    reply_to: str
    flow_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be done: frames to send, and a call to answer."""

    frames: tuple[tuple[Client, Frame], ...] = ()
    call: Call | None = None


class Broker:
    """One for all connections; not thread-safe."""

    def __init__(self) -> None:
        # destination -> the subscriptions to it, in their order
        self._subscribers: dict[str, dict[tuple[int, str], Client]] = {}

    def receive(self, client: Client, frame: Frame) -> Outcome:
        """What a client's frame leads to."""
        if frame.command in ("CONNECT", "STOMP"):
            return self._connect(client, frame)
        if not client.connected:
            return _error(client, "Not connected", leaving=True)
        if frame.command == "SEND":
            return self._send(client, frame)
        if frame.command == "SUBSCRIBE":
            return self._subscribe(client, frame)
        if frame.command == "UNSUBSCRIBE":
            return self._unsubscribe(client, frame)
        if frame.command == "DISCONNECT":
            client.leaving = True
            receipt = frame.headers.get("receipt")
            if receipt is None:
                return Outcome()
            return Outcome(((client, Frame(command="RECEIPT", headers={"receipt-id": receipt})),))
        if frame.command in ("ACK", "NACK"):
            return Outcome()  # every subscription is ack:auto
        return _error(client, f"{frame.command} is not supported: there are no transactions here")

    def messages(self, destination: str, body: bytes) -> tuple[tuple[Client, Frame], ...]:
        """A message for the subscribers of exactly this destination."""
        return tuple(
            (client, _message(destination, number, body))
            for (_, number), client in self._subscribers.get(destination, {}).items()
        )

    def forget(self, client: Client) -> None:
        """The connection is gone."""
        for number in list(client.subscriptions):
            self._remove(client, number)

    def _connect(self, client: Client, frame: Frame) -> Outcome:
        versions = frame.headers.get("accept-version", "").split(",")
        if "1.2" not in versions:
            return _error(client, "Version unsupported", leaving=True)
        try:
            theirs_out, theirs_in = (int(part) for part in frame.headers.get("heart-beat", "0,0").split(","))
            if theirs_out < 0 or theirs_in < 0:
                raise ValueError("negative")
        except ValueError:
            return _error(client, "Malformed heart-beat header", leaving=True)
        client.heartbeat_out_ms = max(theirs_in, _MINIMUM_HEARTBEAT_MS) if theirs_in else 0
        client.heartbeat_in_ms = max(theirs_out, _MINIMUM_HEARTBEAT_MS) if theirs_out else 0
        client.connected = True
        beat = f"{client.heartbeat_out_ms},{client.heartbeat_in_ms}"
        return Outcome(((client, Frame(command="CONNECTED", headers={"version": "1.2", "heart-beat": beat})),))

    def _subscribe(self, client: Client, frame: Frame) -> Outcome:
        destination, number = frame.headers.get("destination"), frame.headers.get("id")
        if not destination or not number:
            return _error(client, "Missing destination or subscription id header")
        if number in client.subscriptions:
            return _error(client, "Subscription id already exists")
        if len(client.subscriptions) >= _SUBSCRIPTIONS:
            return _error(client, f"More than {_SUBSCRIPTIONS} subscriptions")
        client.subscriptions[number] = destination
        self._subscribers.setdefault(destination, {})[id(client), number] = client
        return _receipt(client, frame)

    def _unsubscribe(self, client: Client, frame: Frame) -> Outcome:
        number = frame.headers.get("id")
        if not number:
            return _error(client, "Missing id header")
        if number not in client.subscriptions:
            return _error(client, "Subscription id is not known")
        self._remove(client, number)
        return _receipt(client, frame)

    def _remove(self, client: Client, number: str) -> None:
        destination = client.subscriptions.pop(number)
        of_it = self._subscribers[destination]
        del of_it[id(client), number]
        if not of_it:
            del self._subscribers[destination]

    def _send(self, client: Client, frame: Frame) -> Outcome:
        destination = frame.headers.get("destination", "")
        forwarded = tuple(
            message
            for above in _with_those_above(destination)
            for message in self._forwarded(above, destination, frame.body)
        )
        if any(above in REQUEST_DESTINATIONS for above in _with_those_above(destination)):
            call = Call(
                client=client,
                body=frame.body,
                reply_to=frame.headers.get("reply-to", ""),
                flow_id=frame.headers.get(FLOW_ID_HEADER, "")[:100],
            )
            return Outcome(forwarded, call)
        return Outcome(forwarded) if forwarded else _error(client, "Subscription not available")

    def _forwarded(self, above: str, destination: str, body: bytes) -> list[tuple[Client, Frame]]:
        return [
            (client, _message(destination, number, body))
            for (_, number), client in self._subscribers.get(above, {}).items()
        ]


def _with_those_above(destination: str) -> list[str]:
    parts = destination.split(".")[:32]
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)] if destination else []


def _message(destination: str, number: str, body: bytes) -> Frame:
    headers = {"destination": destination, "content-type": "application/json", "subscription": number}
    return Frame(command="MESSAGE", headers=headers, body=body)


def _receipt(client: Client, frame: Frame) -> Outcome:
    receipt = frame.headers.get("receipt")
    if receipt is None:
        return Outcome()
    return Outcome(((client, Frame(command="RECEIPT", headers={"receipt-id": receipt})),))


def _error(client: Client, text: str, *, leaving: bool = False) -> Outcome:
    client.leaving = client.leaving or leaving
    return Outcome(((client, Frame(command="ERROR", headers={"message": text}, body=text.encode())),))
