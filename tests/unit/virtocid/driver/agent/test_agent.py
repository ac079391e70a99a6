# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The agent over a fake driver and a fake look into its containers."""

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covirt.common.errors import Error
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.execution import ExecRequest, Execution
from covirt.oci.execution_errors import BadExecRequest
from covirt.oci.fake_inside import FakeInside
from covirt.oci.inside import cgroup_files
from covirt.virtocid.driver.agent.errors import AgentCommandFailed, AgentUnresponsive, BadAgentJson, BadAgentTimeout
from covirt.virtocid.driver.agent.service import BLOCK, DEFAULT, Agent
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import DomainIsNotRunning, translate
from covirt.wire.constants import AgentState, ErrorCode, EventId
from tests.support.fake_services import FakeHost


class Box:
    """A running domain and its agent."""

    def __init__(self, host: FakeHost, agent: Agent, inside: FakeInside) -> None:
        self.host, self.agent, self.inside = host, agent, inside
        self.domain = host.run("box")

    def ask(self, command: str, **arguments: Any) -> Any:
        request = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self.agent.command(self.domain, request, timeout=BLOCK))["return"]


@pytest.fixture
def box(host: FakeHost, tmp_path: Path) -> Iterator[Box]:
    inside = FakeInside(tmp_path)
    agent = Agent(host.services, host.driver.lifecycle, host.driver.executions.start, inside.start)
    host.driver.lifecycle.endings.before_clean_up.append(agent.forget)
    yield Box(host, agent, inside)
    agent.close()
    assert not inside.in_use


def test_a_view_is_open_as_long_as_a_handle(box: Box) -> None:
    assert box.ask("guest-get-host-name") == {"host-name": "inner"}
    assert box.inside.ended == 1
    first = box.ask("guest-file-open", path="/a", mode="w+")
    second = box.ask("guest-file-open", path="/a")
    assert len(box.inside.opened) == 2
    data = base64.b64encode(b"words").decode()
    assert box.ask("guest-file-write", handle=first, **{"buf-b64": data}) == {"count": 5, "eof": False}
    assert box.ask("guest-file-read", handle=second) == {"count": 5, "buf-b64": data, "eof": True}
    box.ask("guest-file-close", handle=first)
    assert box.inside.in_use
    box.ask("guest-file-close", handle=second)
    assert not box.inside.in_use


def test_a_view_that_hangs_is_ended_with_its_handles(box: Box) -> None:
    handle = box.ask("guest-file-open", path="/a", mode="w")
    box.inside.hangs = True
    with pytest.raises(AgentUnresponsive, match="did not answer"):
        box.ask("guest-get-osinfo")
    assert not box.inside.in_use
    box.inside.hangs = False
    with pytest.raises(AgentCommandFailed, match="has not been found"):
        box.ask("guest-file-flush", handle=handle)
    assert box.ask("guest-get-host-name") == {"host-name": "inner"}


def test_a_view_that_ended_by_itself_is_opened_anew(box: Box) -> None:
    """As after half an hour in which nobody asked anything."""
    handle = box.ask("guest-file-open", path="/a", mode="w")
    box.inside.gone = True
    assert box.ask("guest-get-host-name") == {"host-name": "inner"}
    assert len(box.inside.opened) == 2
    with pytest.raises(AgentCommandFailed, match="has not been found"):
        box.ask("guest-file-flush", handle=handle)


def test_a_view_that_cannot_be_ended_stays_the_only_one(box: Box) -> None:
    """In a file system that hangs not even SIGKILL ends it; asking again and again may not pile them up."""
    box.inside.hangs = box.inside.stays = True
    with pytest.raises(AgentUnresponsive, match="did not answer"):
        box.ask("guest-get-osinfo")
    for _ in range(3):
        with pytest.raises(AgentUnresponsive, match="hangs"):
            box.ask("guest-get-osinfo")
    assert len(box.inside.opened) == 1
    box.inside.hangs = box.inside.stays = False
    box.inside.gone = True
    assert box.ask("guest-get-host-name") == {"host-name": "inner"}


def test_handles_end_with_their_run(box: Box) -> None:
    handle = box.ask("guest-file-open", path="/a", mode="w")
    box.host.driver.lifecycle.destroy(box.domain, graceful=False)
    assert not box.inside.in_use
    with pytest.raises(DomainIsNotRunning):
        box.ask("guest-file-flush", handle=handle)
    box.host.driver.lifecycle.start(box.domain, paused=False)
    with pytest.raises(AgentCommandFailed, match="has not been found"):
        box.ask("guest-file-flush", handle=handle)


def test_too_many_commands_at_once(box: Box) -> None:
    """Those that wait for a container that hangs are few: the daemon's workers are everybody's."""
    leave = threading.Event()

    def names(*, seconds: float) -> Any:
        leave.wait(60)
        return FakeInside.names(box.inside, seconds=seconds)

    box.inside.names = names  # type: ignore[method-assign]  # as a container that takes its time
    refused: list[str] = []

    def ask() -> None:
        try:
            box.ask("guest-get-host-name")
        except AgentUnresponsive as error:
            refused.append(str(error))
            if len(refused) == 4:
                leave.set()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 4
    assert "too many commands" in refused[0]


def test_too_many_starts_at_once(host: FakeHost, tmp_path: Path) -> None:
    """A hostile container can make its runtime hang (a FIFO as /etc/passwd does it for runc)."""
    leave = threading.Event()

    def start(_domain: Domain, _request: ExecRequest) -> Execution:
        leave.wait(60)
        raise BadExecRequest(reason="it is a test")

    box = Box(
        host, Agent(host.services, host.driver.lifecycle, start, FakeInside(tmp_path).start), FakeInside(tmp_path)
    )
    told: list[str] = []

    def ask() -> None:
        try:
            box.ask("guest-exec", path="true")
        except (AgentUnresponsive, AgentCommandFailed) as error:
            told.append(str(error))
            if len(told) == 4:
                leave.set()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("busy starting" in words for words in told[:4])
    assert all("it is a test" in words for words in told[4:])
    box.agent.close()


def test_a_variable_without_a_name_is_not_told(box: Box) -> None:
    with pytest.raises(AgentCommandFailed) as caught:
        box.ask("guest-exec", path="true", env=["hunter2"])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "request_",
    [
        {"execute": "x" * 1_000_000},
        {"execute": "guest-\x1b[31m"},
        {"execute": "guest-ping", "m" * 1_000_000: 1},
        {"execute": "guest-ping", "arguments": {"m" * 1_000_000: 1}},
        {"execute": "guest-file-open", "arguments": {"path": "/" + "m" * 1_000_000}},
        {"execute": "guest-file-open", "arguments": {"path": "/a", "mode": "m" * 1_000_000}},
    ],
)
def test_what_a_client_wrote_is_not_told_back_at_length(box: Box, request_: dict[str, Any]) -> None:
    """It stands in the log too."""
    with pytest.raises(AgentCommandFailed) as caught:
        box.agent.command(box.domain, json.dumps(request_), timeout=DEFAULT)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ("", BadAgentJson, "cannot parse json"),
        ("{'a'}", BadAgentJson, "cannot parse json"),
        ("[" * 100_000, BadAgentJson, "cannot parse json"),
        ("NaN", BadAgentJson, "NaN is no JSON"),
        ("1" * 5000, BadAgentJson, "cannot parse json"),
        ('{"execute": "guest-ping", "id": 1e999}', BadAgentJson, "too large"),
        ("[]", AgentCommandFailed, "must be a JSON object"),
        ("{}", AgentCommandFailed, "lacks member 'execute'"),
        ('{"execute": "guest-ping", "arguments": null}', AgentCommandFailed, "must be an object"),
        ('{"execute": "guest-ping", "control": {}}', AgentCommandFailed, "'control' is unexpected"),
        ('{"execute": "guest-nothing"}', AgentCommandFailed, "guest-nothing has not been found"),
        ('{"execute": "guest-set-time"}', AgentCommandFailed, "the host's"),
        ('{"execute": "guest-sync", "arguments": {"id": 99999999999999999999}}', AgentCommandFailed, "integer"),
        ('{"execute": "guest-sync", "arguments": {"id": 1.5}}', AgentCommandFailed, "integer"),
        ('{"execute": "guest-file-open", "arguments": {"path": "/\\ud800"}}', AgentCommandFailed, "no text"),
    ],
)
def test_nonsense(box: Box, request_: str, error: type[Error], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        box.agent.command(box.domain, request_, timeout=DEFAULT)
    assert translate(caught.value).code == ErrorCode.INTERNAL_ERROR


def test_timeouts(box: Box) -> None:
    def seconds(timeout: int) -> float:
        return box.agent.call(box.domain, timeout=timeout).seconds

    assert (seconds(BLOCK), seconds(DEFAULT), seconds(0), seconds(3), seconds(1000)) == (30, 10, 10, 3, 30)
    box.agent.set_timeout(box.domain, 2)
    assert (seconds(DEFAULT), seconds(BLOCK)) == (2, 30)
    with pytest.raises(BadAgentTimeout):
        box.agent.set_timeout(box.domain, -3)


def test_paused(box: Box) -> None:
    box.host.driver.lifecycle.suspend(box.domain)
    with pytest.raises(AgentUnresponsive) as caught:
        box.ask("guest-ping")
    assert translate(caught.value).code == ErrorCode.AGENT_UNRESPONSIVE
    box.host.driver.lifecycle.resume(box.domain)
    assert box.ask("guest-ping") == {}


def told(host: FakeHost) -> list[int]:
    messages = [event.make(0)[1] for event in host.events if event.event_id == EventId.AGENT_LIFECYCLE]
    host.events.clear()
    return [message.state for message in messages]


def test_events(host: FakeHost) -> None:
    domain: Domain = host.define("one")
    host.driver.lifecycle.start(domain, paused=True)
    assert told(host) == []
    host.driver.lifecycle.resume(domain)
    assert told(host) == [AgentState.CONNECTED]
    host.driver.lifecycle.suspend(domain)
    host.driver.lifecycle.resume(domain)
    assert told(host) == []
    host.driver.lifecycle.reset(domain)
    assert told(host) == [AgentState.DISCONNECTED, AgentState.CONNECTED]
    host.driver.lifecycle.destroy(domain, graceful=False)
    assert told(host) == [AgentState.DISCONNECTED]


def test_cgroups_to_enter() -> None:
    v1 = CgroupLayout(
        version=1, hierarchies={"cpu": "/c/cpu", "cpuacct": "/c/cpu", "freezer": "/c/fr"}, unified="/c/u"
    )
    assert cgroup_files(v1, "/x/container") == ("/c/cpu/x/container/tasks",)
    v2 = CgroupLayout(version=2, hierarchies={}, unified="/c")
    assert cgroup_files(v2, "/x/container") == ("/c/x/container/cgroup.procs",)
