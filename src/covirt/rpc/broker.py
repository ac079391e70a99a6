# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The server's side of STOMP, sans-IO: what a client has subscribed to, and what each of its frames asks for.

Narrower than a message broker on purpose: requests come from clients and events from the host, so that nobody
sees another's calls or answers, and nobody tells an event in the host's name (docs/adr/0021-narrow-broker.md).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from covirt.rpc.stomp import Frame

# Requests come to these destinations, and to what is below them (Vdsm's addresses.request_queues).
REQUEST_DESTINATIONS: Final = ("jms.topic.vdsm_requests", "jms.topic.vdsm_irs_requests")
ANSWER_DESTINATION: Final = "jms.topic.vdsm_responses"  # of a request without reply-to
FLOW_ID_HEADER: Final = "ovirtCorrelationId"
_MAX_SUBSCRIPTIONS: Final = 100  # of one client
_MAX_FLOW_ID: Final = 100
_MIN_HEARTBEAT_MS: Final = 1000  # Vdsm's, too


@dataclass(eq=False, slots=True)
class Client:
    """One connection. ``heartbeat_out_ms``, ``heartbeat_in_ms``: what was agreed, 0 for none."""

    name: str
    connected: bool = False
    leaving: bool = False  # close when what was said to it is sent; what it still sends counts no more
    heartbeat_out_ms: int = 0
    heartbeat_in_ms: int = 0
    subscriptions: dict[str, str] = field(default_factory=dict)  # id -> destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A body sent to where requests go."""

    body: bytes
    reply_to: str
    flow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is to be done: a frame to answer with, a call to take."""

    answer: Frame | None = None
    call: Call | None = None


class Broker:
    """One for all connections; not thread-safe."""

    def __init__(self) -> None:
        # destination -> the subscriptions to it, in their order
        self._subscribers: dict[str, dict[tuple[int, str], Client]] = {}
        self._commands: dict[str, Callable[[Client, Frame], Outcome]] = {
            "SEND": self._send,
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "DISCONNECT": self._disconnect,
            # Every subscription is ack:auto, so there is nothing to keep.
            "ACK": _receipt,
            "NACK": _receipt,
        }

    def receive(self, client: Client, frame: Frame) -> Outcome:
        """What a client's frame asks for. As STOMP says, ERROR is the last thing a client hears."""
        if frame.command in ("CONNECT", "STOMP"):
            return _connect(client, frame)
        if not client.connected:
            return _error(client, "Not connected")
        command = self._commands.get(frame.command)
        if command is None:
            return _error(client, f"{frame.command} is not supported")
        return command(client, frame)

    def events(self, destination: str, body: bytes) -> list[tuple[Client, Frame]]:
        """A message for all subscribers of exactly this destination."""
        return [
            (client, _message(destination, number, body))
            for (_, number), client in self._subscribers.get(destination, {}).items()
        ]

    def answers(self, client: Client, destination: str, body: bytes) -> list[Frame]:
        """A message for the client that asked, where it listens."""
        return [
            _message(destination, number, body)
            for number, subscribed in client.subscriptions.items()
            if subscribed == destination
        ]

    def forget(self, client: Client) -> None:
        """The connection is gone."""
        for number in list(client.subscriptions):
            self._remove(client, number)

    def _subscribe(self, client: Client, frame: Frame) -> Outcome:
        destination, number = frame.headers.get("destination"), frame.headers.get("id")
        if not destination or not number:
            return _error(client, "Missing destination or subscription id header")
        if number in client.subscriptions:
            return _error(client, "Subscription id already exists")
        if len(client.subscriptions) >= _MAX_SUBSCRIPTIONS:
            return _error(client, f"More than {_MAX_SUBSCRIPTIONS} subscriptions")
        client.subscriptions[number] = destination
        self._subscribers.setdefault(destination, {})[id(client), number] = client
        return _receipt(client, frame)

    def _unsubscribe(self, client: Client, frame: Frame) -> Outcome:
        number = frame.headers.get("id")
        if not number:
            return _error(client, "Missing id header")
        if number in client.subscriptions:  # Vdsm takes a second one in silence
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
        if not any(destination == place or destination.startswith(f"{place}.") for place in REQUEST_DESTINATIONS):
            return _error(client, "Subscription not available")
        call = Call(
            body=frame.body,
            reply_to=frame.headers.get("reply-to", ANSWER_DESTINATION),
            flow_id=_printable(frame.headers.get(FLOW_ID_HEADER, "")[:_MAX_FLOW_ID]),
        )
        return Outcome(answer=_receipt(client, frame).answer, call=call)

    @staticmethod
    def _disconnect(client: Client, frame: Frame) -> Outcome:
        client.leaving = True
        return _receipt(client, frame)


def _connect(client: Client, frame: Frame) -> Outcome:
    if client.connected:
        return _error(client, "Already connected")
    if "1.2" not in frame.headers.get("accept-version", "").split(","):
        return _error(client, "Version unsupported")
    theirs_out, theirs_in = _heartbeats(frame.headers.get("heart-beat", "0,0"))
    client.heartbeat_out_ms = max(theirs_in, _MIN_HEARTBEAT_MS) if theirs_in else 0
    client.heartbeat_in_ms = max(theirs_out, _MIN_HEARTBEAT_MS) if theirs_out else 0
    client.connected = True
    beat = f"{client.heartbeat_out_ms},{client.heartbeat_in_ms}"
    return Outcome(answer=Frame(command="CONNECTED", headers={"version": "1.2", "heart-beat": beat}))


def _heartbeats(text: str) -> tuple[int, int]:
    """What cannot be read means none, as with Vdsm."""
    numbers = [int(part) if part.isascii() and part.isdigit() and len(part) < 10 else 0 for part in text.split(",")]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)


def _message(destination: str, number: str, body: bytes) -> Frame:
    headers = {"destination": destination, "content-type": "application/json", "subscription": number}
    return Frame(command="MESSAGE", headers=headers, body=body)


def _receipt(_client: Client, frame: Frame) -> Outcome:
    receipt = frame.headers.get("receipt")
    return Outcome(answer=None if receipt is None else Frame(command="RECEIPT", headers={"receipt-id": receipt}))


def _error(client: Client, text: str) -> Outcome:
    client.leaving = True
    return Outcome(answer=Frame(command="ERROR", headers={"message": text}, body=text.encode()))


def _printable(text: str) -> str:
    """It stands in every line of the log."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)
