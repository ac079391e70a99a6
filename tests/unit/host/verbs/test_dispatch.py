# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a call is answered, whatever becomes of it."""

from collections.abc import Mapping

import pytest
from pydantic import Field

from covirt.common.errors import Conflict, Unsupported
from covirt.host.verbs import dispatch
from covirt.host.verbs.dispatch import CallContext, Dispatcher, Handler
from covirt.hostapi.errors import CallRefused, Code
from covirt.hostapi.json import JsonValue
from covirt.hostapi.verb import Params, Verb

CONTEXT = CallContext(client="test", flow_id="f1")


class StartParams(Params):
    vm_id: str = Field(alias="vmID")
    delay_seconds: int = Field(alias="delay", default=0)


class NotForContainers(Unsupported):
    template = "a container cannot be moved"


class Busy(Conflict):
    template = "it is busy"


class Nouns:
    def __init__(self) -> None:
        self.error: Exception | None = None

    def handlers(self) -> Mapping[str, Handler]:
        return {"Noun.start": self.start, "Noun.ping": self.ping}

    def start(self, params: StartParams, context: CallContext) -> JsonValue:
        if self.error is not None:
            raise self.error
        return [params.vm_id, params.delay_seconds, context.flow_id]

    def ping(self, _params: Params, _context: CallContext) -> JsonValue:
        return None


@pytest.fixture
def nouns() -> Nouns:
    return Nouns()


@pytest.fixture
def dispatcher(nouns: Nouns, monkeypatch: pytest.MonkeyPatch) -> Dispatcher:
    verbs = {
        "Noun.start": Verb(name="Noun.start", summary="", params=StartParams),
        "Noun.ping": Verb(name="Noun.ping", summary="", quick=True),
    }
    monkeypatch.setattr(dispatch, "VERBS", verbs)
    return Dispatcher([nouns])


def refused(dispatcher: Dispatcher, method: str, params: object) -> CallRefused:
    with pytest.raises(CallRefused) as caught:
        dispatcher.call(method, params, CONTEXT)
    return caught.value


def test_nothing_is_answered_until_it_is_ready(dispatcher: Dispatcher) -> None:
    for method in ("Noun.ping", "Noun.start", "Noun.unknown"):
        assert refused(dispatcher, method, {"vmID": "a"}).code == Code.RECOVERING
    dispatcher.set_ready()
    assert dispatcher.call("Noun.ping", {}, CONTEXT) is True
    assert dispatcher.call("Noun.start", {"vmID": "a", "new in 5.0": 1}, CONTEXT) == ["a", 0, "f1"]


def test_parameters_in_order(dispatcher: Dispatcher) -> None:
    dispatcher.set_ready()
    assert dispatcher.call("Noun.start", ["a", 3], CONTEXT) == ["a", 3, "f1"]
    assert refused(dispatcher, "Noun.start", ["a", 3, 4]).code == -32603  # as Vdsm


def test_bad_calls(dispatcher: Dispatcher) -> None:
    dispatcher.set_ready()
    unknown = refused(dispatcher, "Noun.stop", {})
    assert (unknown.code, unknown.message) == (
        -32601,
        "The method does not exist or is not available: {'method': 'Noun.stop'}",
    )
    assert len(refused(dispatcher, "x" * 100_000, {}).message) < 200
    missing = refused(dispatcher, "Noun.start", {})
    assert missing.code == -32603
    assert "vmID" in missing.message
    wrong = refused(dispatcher, "Noun.start", {"vmID": "a", "delay": "soon"})
    assert wrong.code == -32602
    assert "delay" in wrong.message
    assert "soon" not in wrong.message
    assert refused(dispatcher, "Noun.start", "a").code == -32602


def test_a_call_that_is_part_of_no_flow_says_nothing_of_one(
    dispatcher: Dispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for flow_id in ("f1", ""):
        with pytest.raises(CallRefused):
            dispatcher.call("Noun.start", {}, CallContext(client="test", flow_id=flow_id))
    with_one, without = [record.getMessage() for record in caplog.records if "Call method" in record.getMessage()]
    assert "client=test flow_id=f1 code=" in with_one
    assert "client=test code=" in without


def test_errors_have_codes(dispatcher: Dispatcher, nouns: Nouns) -> None:
    dispatcher.set_ready()
    nouns.error = NotForContainers()
    error = refused(dispatcher, "Noun.start", {"vmID": "a"})
    assert (error.code, error.message) == (75, "Operation not supported: {'reason': 'a container cannot be moved'}")
    nouns.error = Busy()
    assert refused(dispatcher, "Noun.start", {"vmID": "a"}).message == "it is busy"


def test_a_bug_is_an_incident(dispatcher: Dispatcher, nouns: Nouns, caplog: pytest.LogCaptureFixture) -> None:
    dispatcher.set_ready()
    nouns.error = RuntimeError("a secret of ours")
    error = refused(dispatcher, "Noun.start", {"vmID": "a"})
    assert error.code == -32603
    assert "a secret of ours" not in error.message
    assert error.message.rpartition("incident ")[2].rstrip("'}") in caplog.text
