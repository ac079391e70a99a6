# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks and jobs as Vdsm's clients see them."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from covirt.common.errors import CommandFailed
from covirt.common.root import Root
from covirt.host.events import Events
from covirt.host.metrics import page_maker
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.images import Images
from covirt.host.storage.operation import Control, Kind, Params
from covirt.host.verbs.dispatch import CallContext, Dispatcher
from covirt.host.verbs.faults import described
from covirt.host.verbs.task import JobVerbs, TaskVerbs
from covirt.hostapi.errors import CallRefused
from covirt.hostapi.json import JsonValue
from tests.support.waiting import wait_until

_CONTEXT = CallContext(client="test")


class Agent:
    """Verbs about tasks and jobs, with two kinds of work, and the events that were told."""

    def __init__(self, directory: Path) -> None:
        self.go = threading.Event()
        self.told: list[tuple[str, Any]] = []
        events = Events()
        events.join(lambda _destination, topic, params: self.told.append((topic, dict(params))))
        self.images = Images.new(
            root=Root(directory), config=ImagesConfig(), events=events, describe=described, tls=None
        )
        kinds = [Kind(name="wait", run=self._wait), Kind(name="fail", run=self._fail)]
        self.images.tasks.add_kinds(kinds)
        self.images.jobs.add_kinds(kinds)
        self._dispatcher = Dispatcher(
            [TaskVerbs(self.images.tasks, require_manager=lambda: None), JobVerbs(self.images.jobs)]
        )
        self._dispatcher.set_ready()

    def call(self, method: str, **params: JsonValue) -> Any:
        return cast(Any, self._dispatcher.call(method, params, _CONTEXT))

    def code(self, method: str, **params: JsonValue) -> int:
        with pytest.raises(CallRefused) as caught:
            self.call(method, **params)
        return caught.value.code

    def _wait(self, _params: Params, control: Control) -> None:
        control.progress(50)
        forget = control.on_stop(self.go.set)
        assert self.go.wait(30)
        forget()
        control.check()

    def _fail(self, _params: Params, _control: Control) -> None:
        raise CommandFailed(program="qemu-img", status=1, stderr="no space")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path)
    agent.images.start()
    yield agent
    agent.go.set()
    agent.images.stop()


def test_a_task_from_begin_to_end(agent: Agent) -> None:
    task_id = agent.images.tasks.submit("wait", {})
    status = agent.call("Task.getStatus", taskID=task_id)
    assert (status["taskID"], status["taskState"], status["taskResult"], status["code"]) == (
        task_id,
        "running",
        "",
        0,
    )
    assert agent.call("Task.getInfo", taskID=task_id) == {"id": task_id, "verb": "wait"}
    assert agent.code("Task.clear", taskID=task_id) == 410
    assert agent.code("Task.revert", taskID=task_id) == 403
    agent.go.set()
    wait_until(lambda: agent.call("Task.getStatus", taskID=task_id)["taskState"] == "finished")
    assert agent.call("Host.getAllTasksStatuses") == {
        task_id: {
            "taskID": task_id,
            "taskState": "finished",
            "taskResult": "success",
            "code": 0,
            "message": "1 jobs completed successfully",
        }
    }
    assert agent.call("Host.getAllTasksInfo") == {task_id: {"id": task_id, "verb": "wait"}}
    assert agent.call("Task.stop", taskID=task_id) is True
    assert agent.call("Task.clear", taskID=task_id) is True
    assert agent.call("Host.getAllTasksStatuses") == {}


def test_a_task_that_is_stopped(agent: Agent) -> None:
    task_id = agent.images.tasks.submit("wait", {})
    wait_until(lambda: agent.images.tasks.get(task_id).state == "running")
    agent.call("Task.stop", taskID=task_id)
    wait_until(lambda: agent.call("Task.getStatus", taskID=task_id)["taskState"] == "finished")
    status = agent.call("Task.getStatus", taskID=task_id)
    assert (status["taskResult"], status["code"]) == ("cleanSuccess", 443)


@pytest.mark.parametrize("verb", ["getStatus", "getInfo", "stop", "revert", "clear"])
def test_unknown_tasks(agent: Agent, verb: str) -> None:
    assert agent.code(f"Task.{verb}", taskID=str(uuid4())) == 401
    assert agent.code(f"Task.{verb}", taskID="../../etc/passwd") == 401


def test_a_job_from_begin_to_end(agent: Agent) -> None:
    job_id = str(uuid4())
    agent.images.jobs.submit("wait", {}, job_id=job_id)
    wait_until(lambda: agent.call("Host.getJobs")[job_id].get("progress") == 50)
    told = {"id": job_id, "status": "running", "description": "wait", "job_type": "storage", "progress": 50}
    assert agent.call("Host.getJobs") == {job_id: told}
    assert agent.call("Host.getJobs", job_type="v2v") == {}
    assert agent.call("Host.getJobs", job_type=None, job_ids=[str(uuid4())]) == {}
    assert agent.code("Job.delete", jobID=job_id) == 68
    agent.call("Job.abort", jobID=job_id)
    wait_until(lambda: len(agent.told) == 1)
    topic, params = agent.told[0]
    assert topic == f"|jobs|status|{job_id}"
    assert params.pop("notify_time") > 0
    assert params == {**told, "status": "aborted"}
    assert agent.code("Job.abort", jobID=job_id) == 84
    agent.call("Job.delete", jobID=job_id)
    assert agent.code("Job.delete", jobID=job_id) == 66
    assert agent.code("Job.abort", jobID=job_id) == 66


def test_a_job_that_fails_says_why(agent: Agent) -> None:
    job_id = str(uuid4())
    agent.images.jobs.submit("fail", {}, job_id=job_id)
    wait_until(lambda: len(agent.told) == 1)
    error = agent.told[0][1]["error"]
    assert "no space" in error["message"]
    assert agent.call("Host.getJobs", job_ids=[job_id])[job_id]["status"] == "failed"


def test_metrics_count_by_state(agent: Agent) -> None:
    agent.images.tasks.submit("wait", {})
    agent.images.jobs.submit("fail", {}, job_id=str(uuid4()))
    wait_until(lambda: len(agent.told) == 1)
    page = page_maker([agent.images])()[1].decode()
    assert 'covirt_host_tasks{state="running"} 1.0' in page
    assert 'covirt_host_jobs{state="failed"} 1.0' in page
    assert "covirt_host_tickets 0.0" in page
