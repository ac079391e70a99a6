# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a client's frames lead to, and that clients see nothing of each other."""

import pytest

from covirt.rpc.broker import ANSWER_DESTINATION, Broker, Client, Outcome
from covirt.rpc.stomp import Frame


@pytest.fixture
def broker() -> Broker:
    return Broker()


def connected(broker: Broker, *, heartbeats: str = "0,0") -> Client:
    client = Client(name="test")
    broker.receive(client, Frame(command="CONNECT", headers={"accept-version": "1.0,1.2", "heart-beat": heartbeats}))
    return client


def told(broker: Broker, client: Client, command: str, body: bytes = b"", /, **headers: str) -> Outcome:
    words = {name.replace("_", "-"): value for name, value in headers.items()}
    return broker.receive(client, Frame(command=command, headers=words, body=body))


def refusal(outcome: Outcome) -> str:
    assert outcome.answer is not None
    assert outcome.answer.command == "ERROR"
    return outcome.answer.headers["message"]


def test_connected_with_the_heartbeats_turned_round(broker: Broker) -> None:
    client = Client(name="test")
    outcome = told(broker, client, "CONNECT", accept_version="1.2", heart_beat="5000,24000")
    assert outcome.answer == Frame(command="CONNECTED", headers={"version": "1.2", "heart-beat": "24000,5000"})
    assert (client.connected, client.heartbeat_in_ms, client.heartbeat_out_ms) == (True, 5000, 24000)


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [("1,1", (1000, 1000)), ("0,0", (0, 0)), ("x", (0, 0)), ("1", (0, 0)), ("-5,2000", (2000, 0)),
     ("9" * 20 + ",0", (0, 0))],
)  # fmt: skip
def test_heartbeats_are_sane(broker: Broker, asked: str, agreed: tuple[int, int]) -> None:
    client = connected(broker, heartbeats=asked)
    assert (client.heartbeat_out_ms, client.heartbeat_in_ms) == agreed


def test_other_versions_are_refused(broker: Broker) -> None:
    client = Client(name="test")
    assert refusal(told(broker, client, "CONNECT", accept_version="1.0,1.1")) == "Version unsupported"
    assert client.leaving
    assert not client.connected


@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE", "UNSUBSCRIBE", "DISCONNECT", "BEGIN"])
def test_nothing_before_connect(broker: Broker, command: str) -> None:
    client = Client(name="test")
    assert refusal(told(broker, client, command, destination="jms.topic.vdsm_requests", id="1")) == "Not connected"
    assert client.leaving


@pytest.mark.parametrize(
    ("command", "headers", "reason"),
    [
        ("CONNECT", {"accept_version": "1.2"}, "Already connected"),
        ("SUBSCRIBE", {"id": "1"}, "Missing destination"),
        ("SUBSCRIBE", {"destination": "a"}, "Missing destination"),
        ("SUBSCRIBE", {"id": "0", "destination": "a"}, "already exists"),
        ("UNSUBSCRIBE", {}, "Missing id"),
        ("SEND", {}, "not available"),
        ("SEND", {"destination": "jms.queue.events"}, "not available"),
        ("SEND", {"destination": "jms.topic.vdsm_requests_of_others"}, "not available"),
        ("BEGIN", {"transaction": "1"}, "not supported"),
        ("MESSAGE", {}, "not supported"),
    ],
)
def test_what_is_refused(broker: Broker, command: str, headers: dict[str, str], reason: str) -> None:
    client = connected(broker)
    told(broker, client, "SUBSCRIBE", id="0", destination="jms.queue.events")
    assert reason in refusal(told(broker, client, command, **headers))
    assert client.leaving


def test_subscriptions_of_one_client_are_bounded(broker: Broker) -> None:
    client = connected(broker)
    for number in range(100):
        assert told(broker, client, "SUBSCRIBE", id=str(number), destination="a").answer is None
    assert "More than 100" in refusal(told(broker, client, "SUBSCRIBE", id="more", destination="a"))


def test_events_go_to_subscribers_until_they_leave(broker: Broker) -> None:
    first, second, third = (connected(broker) for _ in range(3))
    told(broker, first, "SUBSCRIBE", id="1", destination="jms.queue.events")
    told(broker, second, "SUBSCRIBE", id="x", destination="jms.queue.events")
    told(broker, third, "SUBSCRIBE", id="1", destination="jms.queue")
    frames = broker.events("jms.queue.events", b"{}")
    assert [(client, frame.headers["subscription"]) for client, frame in frames] == [(first, "1"), (second, "x")]
    assert frames[0][1].headers["destination"] == "jms.queue.events"
    assert frames[0][1].headers["content-type"] == "application/json"
    told(broker, second, "UNSUBSCRIBE", id="x")
    told(broker, second, "UNSUBSCRIBE", id="x")  # Vdsm takes it in silence
    broker.forget(first)
    assert broker.events("jms.queue.events", b"{}") == []


@pytest.mark.parametrize(
    "destination", ["jms.topic.vdsm_requests", "jms.topic.vdsm_irs_requests", "jms.topic.vdsm_requests.x"]
)
def test_a_call(broker: Broker, destination: str) -> None:
    client = connected(broker)
    outcome = told(
        broker, client, "SEND", b"{}", destination=destination, reply_to="mine", ovirtCorrelationId="a\nb" * 100
    )
    assert outcome.answer is None
    assert outcome.call is not None
    assert (outcome.call.body, outcome.call.reply_to) == (b"{}", "mine")
    assert outcome.call.flow_id == ("a?b" * 100)[:100]
    plain = told(broker, client, "SEND", destination=destination)
    assert plain.call is not None
    assert plain.call.reply_to == ANSWER_DESTINATION


def test_nobody_hears_another_s_calls_and_answers(broker: Broker) -> None:
    asking, listening = connected(broker), connected(broker)
    for number, destination in enumerate(("jms.topic.vdsm_requests", "mine", "jms.topic")):
        told(broker, listening, "SUBSCRIBE", id=str(number), destination=destination)
    told(broker, asking, "SUBSCRIBE", id="a", destination="mine")
    outcome = told(broker, asking, "SEND", b"{}", destination="jms.topic.vdsm_requests", reply_to="mine")
    assert outcome.call is not None
    assert [frame.headers["subscription"] for frame in broker.answers(asking, "mine", b"{}")] == ["a"]
    assert broker.answers(asking, "jms.topic", b"{}") == []


def test_receipts(broker: Broker) -> None:
    client = connected(broker)
    for command, headers in (
        ("SUBSCRIBE", {"id": "1", "destination": "a"}),
        ("SEND", {"destination": "jms.topic.vdsm_requests"}),
        ("ACK", {"id": "1"}),
        ("UNSUBSCRIBE", {"id": "1"}),
        ("DISCONNECT", {}),
    ):
        outcome = told(broker, client, command, receipt="r1", **headers)
        assert outcome.answer == Frame(command="RECEIPT", headers={"receipt-id": "r1"})
    assert client.leaving
