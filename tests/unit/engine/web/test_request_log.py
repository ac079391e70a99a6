# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The line for each request."""

import logging

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from covirt.engine.metrics import EngineMetrics
from covirt.engine.store.figures import Figures
from covirt.engine.web.request_log import RequestLog


def _answer(request: Request) -> Response:
    if request.url.path.endswith("bug"):
        raise RuntimeError("a bug")
    request.scope["covirt.user"] = "cook@internal-authz"
    return Response(status_code=201, headers={"Correlation-Id": "soup1"})


@pytest.fixture
def metrics() -> EngineMetrics:
    nothing = Figures(guests={}, use={}, hosts=(), storage=(), operations={}, sessions=3)
    return EngineMetrics(figures=lambda: nothing)


@pytest.fixture
def client(metrics: EngineMetrics) -> TestClient:
    app = Starlette(routes=[Route("/{rest:path}", _answer, methods=["GET", "POST", "BREW"])])
    return TestClient(RequestLog(app, metrics), raise_server_exceptions=False)


def test_who_what_and_how_without_the_query(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client.post("/ovirt-engine/api/vms;max=5?password=secret", content=b"secret")
    (line,) = [record.message for record in caplog.records if record.name.endswith("request_log")]
    assert line.startswith("POST /ovirt-engine/api/vms;max=5 status=201 ms=")
    assert line.endswith("user=cook@internal-authz address=testclient flow=soup1")
    assert "secret" not in line


def test_a_stream_s_ticket_is_not_told(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client.get("/covirt/streams/secret/part")
    (line,) = [record.message for record in caplog.records if record.name.endswith("request_log")]
    assert line.startswith("GET /covirt/streams/TICKET status=201")
    assert "secret" not in line


def test_a_path_makes_no_lines_of_its_own(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client.get("/a%0aINFO forged%1b[31m" + "x" * 5000)
    (line,) = [record.message for record in caplog.records if record.name.endswith("request_log")]
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 2000


def test_a_bug_is_counted_and_told(
    client: TestClient, metrics: EngineMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client.get("/ovirt-engine/api/bug")
    client.request("BREW", "/coffee")
    assert "status=500" in caplog.text
    kind, page = metrics.page()
    assert kind.startswith("text/plain")
    assert b'covirt_engine_requests_total{area="api",method="GET",status="500"} 1.0' in page
    assert b'covirt_engine_requests_total{area="other",method="other",status="201"} 1.0' in page
    assert b"covirt_engine_login_sessions 3.0" in page
