# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Endpoints of covirt's own: what is read of a request, and how it is refused."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from covirt.engine.auth.errors import Unauthenticated
from covirt.engine.web.json_endpoint import JsonAnswer, JsonRequest, json_route


def _echo(asked: JsonRequest) -> JsonAnswer:
    if "authorization" not in asked.headers:
        raise Unauthenticated
    asked.called_by("cook")
    return 201, {"name": asked.text("name", "nobody"), "part": asked.path_values["part"], "query": asked.query}


def _bug(asked: JsonRequest) -> JsonAnswer:
    raise RuntimeError(f"a secret of {asked.address}")


@pytest.fixture
def client() -> TestClient:
    routes = [json_route("/echo/{part}", {"GET": _echo, "POST": _echo}), json_route("/bug", {"POST": _bug})]
    return TestClient(Starlette(routes=routes), headers={"Authorization": "Bearer x"})


def test_a_request_and_its_answer(client: TestClient) -> None:
    answer = client.post("/echo/a?b=c", json={"name": "soup"}, headers={"Correlation-Id": "lunch"})
    assert answer.status_code == 201
    assert answer.json() == {"name": "soup", "part": "a", "query": "b=c"}
    assert answer.headers["correlation-id"] == "lunch"
    assert answer.headers["cache-control"] == "no-store"
    assert client.post("/echo/a").json()["name"] == "nobody"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 400, "it is not JSON"),
        (b"[" * 10_000, 400, "it is not JSON"),
        (b"\xff", 400, "it is not JSON"),
        (b"[1]", 400, "it is no JSON object"),
        (b'{"name": 1}', 400, "'name' must be a text"),
        (b'{"name": "\\u0000"}', 400, "'name' must be a text"),
        (b" " * (256 * 1024 + 1), 413, "more than 262144 bytes"),
    ],
)
def test_what_cannot_be_read(client: TestClient, body: bytes, status: int, reason: str) -> None:
    answer = client.post("/echo/a", content=body)
    assert answer.status_code == status
    assert reason in answer.json()["reason"]


def test_who_asks_is_looked_at_first(client: TestClient) -> None:
    del client.headers["Authorization"]
    answer = client.post("/echo/a", content=b"{")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_methods_that_nobody_answers(client: TestClient) -> None:
    for method in ("HEAD", "DELETE", "BREW"):
        assert client.request(method, "/echo/a").status_code == 405


def test_a_bug_keeps_its_details_to_itself(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.post("/bug")
    assert answer.status_code == 500
    incident = answer.json()["reason"].rpartition(" ")[2]
    assert "secret" not in answer.text
    assert incident in caplog.text
    assert "a secret of testclient" in caplog.text
