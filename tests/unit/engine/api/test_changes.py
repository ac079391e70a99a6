# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What changes something: statuses and bodies as the SDK needs them, and nothing done twice."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from starlette.testclient import TestClient

from covirt.common.errors import Conflict, Denied, Unavailable
from covirt.engine.api.app import create_app
from covirt.engine.api.call import Call
from covirt.engine.api.errors import Incomplete
from covirt.engine.api.node import Body, Node
from covirt.engine.api.registry import Collection, Done, Registry
from covirt.engine.store.store import Store
from tests.support.engine_api import api_client, api_services
from tests.support.engine_samples import sample_id

_TAG = {"id": sample_id("made"), "name": "made"}


class NameTaken(Conflict):
    template = "Cannot add Tag. The name {name} is in use."


class _Tags:
    """A collection of tags that is kept in memory."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.fails: Exception | None = None

    def show(self, call: Call, items: Sequence[tuple[str, Any]]) -> Sequence[Node]:
        del call
        return [Node(type="Tag", id=item["id"], values={"name": item["name"]}) for _, item in items]

    def _called(self, *what: object) -> None:
        self.calls.append(what)
        if self.fails is not None:
            raise self.fails

    def add(self, call: Call, ids: tuple[str, ...], body: Body) -> Done:
        del call
        self._called("add", ids, body)
        return Done(id=_TAG["id"])

    def add_later(self, call: Call, ids: tuple[str, ...], body: Body) -> Done:
        del call
        self._called("add", ids, body)
        return Done(id=_TAG["id"], pending=True)

    def update(self, call: Call, ids: tuple[str, ...], body: Body) -> None:
        del call
        self._called("update", ids, body)

    def remove(self, call: Call, ids: tuple[str, ...]) -> None:
        del call
        self._called("remove", ids)

    def act(self, call: Call, ids: tuple[str, ...], body: Body) -> Done:
        del call
        self._called("act", ids, body)
        return Done(values={"grace_period": {"expiry": 5}})

    def every(self, call: Call) -> Sequence[Any]:
        del call
        return [_TAG]

    def some(self, call: Call, ids: Sequence[str]) -> Sequence[Any]:
        return self.every(call) if _TAG["id"] in ids else []

    def collection(self, path: str, add: Callable[[Call, tuple[str, ...], Body], Done]) -> Collection:
        return Collection(
            path=path,
            type="Tag",
            show=self.show,
            list=self.every,
            get=self.some,
            key=lambda item: str(item["id"]),
            add=add,
            update=self.update,
            remove=self.remove,
            actions={"paint": self.act},
        )


@pytest.fixture
def tags() -> _Tags:
    return _Tags()


@pytest.fixture
def client(tags: _Tags, samples: Store) -> TestClient:
    registry = Registry([tags.collection("tags", tags.add), tags.collection("slowtags", tags.add_later)])
    return api_client(create_app(api_services(samples), registry=registry))


_PATH = f"tags/{_TAG['id']}"


def test_an_added_object_is_answered_with_where_it_is(client: TestClient, tags: _Tags) -> None:
    answer = client.post("tags", content="<tag><name>made</name></tag>", headers={"Content-Type": "application/xml"})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/ovirt-engine/api/{_PATH}"
    assert f'<tag href="/ovirt-engine/api/{_PATH}" id="{_TAG["id"]}">' in answer.text
    assert tags.calls == [("add", (), {"name": "made"})]


def test_what_goes_on_afterwards_is_accepted(client: TestClient) -> None:
    answer = client.post("slowtags", json={"name": "made"})
    assert (answer.status_code, "<name>made</name>" in answer.text) == (202, True)


@pytest.mark.parametrize("content_type", ["", "application/xml", "text/xml; charset=utf-8", "application/json"])
def test_bodies_come_in_either_language(client: TestClient, tags: _Tags, content_type: str) -> None:
    body = json.dumps({"name": "x"}) if "json" in content_type else "<tag><name>x</name></tag>"
    headers = {"Content-Type": content_type} if content_type else {}
    assert client.post("tags", content=body, headers=headers).status_code == 201
    assert tags.calls == [("add", (), {"name": "x"})]


def test_updates_and_removals_answer_200(client: TestClient, tags: _Tags) -> None:
    assert client.put(_PATH, content="<tag/>").status_code == 200
    removed = client.delete(_PATH)
    assert (removed.status_code, removed.content) == (200, b"")
    assert removed.headers["content-type"].startswith("application/xml")
    assert [call[0] for call in tags.calls] == ["update", "remove"]


@pytest.mark.parametrize("body", ["", "<action/>", "<action><force>true</force></action>"])
def test_actions_answer_with_a_body(client: TestClient, body: str) -> None:
    answer = client.post(f"{_PATH}/paint", content=body)
    assert answer.status_code == 200
    assert answer.text.endswith(
        "<action><grace_period><expiry>5</expiry></grace_period><status>complete</status></action>"
    )


def test_an_object_says_which_actions_it_has(client: TestClient) -> None:
    link = f'<actions><link href="/ovirt-engine/api/{_PATH}/paint" rel="paint"/></actions>'
    assert link in client.get(_PATH).text


# Pitfall 3: a connection that drops makes libcurl send the request again.


def test_a_bug_is_an_answer_and_names_itself_in_the_log(
    client: TestClient, tags: _Tags, caplog: pytest.LogCaptureFixture
) -> None:
    tags.fails = ZeroDivisionError("the secret reason")
    answer = client.post("tags", content="<tag/>")
    assert answer.status_code == 500
    assert "the secret reason" not in answer.text
    (record,) = [record for record in caplog.records if record.exc_info]
    incident = record.getMessage().partition("incident=")[2]
    assert incident in answer.text
    assert len(tags.calls) == 1


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (NameTaken(name="made"), 409, "[Cannot add Tag. The name made is in use.]"),
        (Incomplete(type="Tag", names="name", action="add"), 400, "Tag [name] required for add"),
        (Denied(message="No."), 403, "[No.]"),
        (Unavailable(message="Later."), 503, "[Later.]"),
    ],
)
def test_facts_become_faults(client: TestClient, tags: _Tags, error: Exception, status: int, detail: str) -> None:
    tags.fails = error
    answer = client.post("tags", content="<tag/>")
    assert answer.status_code == status
    assert f"<detail>{detail}</detail>" in answer.text


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("", "application/xml", 400),
        ("<vm/>", "application/xml", 400),
        ("{}", "application/xml", 400),
        ("<tag/>", "application/json", 400),
        ("name=made", "application/x-www-form-urlencoded", 415),
        ("<tag>" + " " * (4 << 20) + "</tag>", "application/xml", 413),
    ],
)
def test_bodies_that_are_refused(client: TestClient, tags: _Tags, body: str, content_type: str, status: int) -> None:
    answer = client.post("tags", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert tags.calls == []
