# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events and jobs that come from outside."""

from typing import Any

import pytest

from covirt.engine.store.store import Store
from tests.support.engine_changing import Asker, events, give
from tests.support.engine_samples import CLUSTER_ID, JOB_ID, STEP_ID, USER_ID, VM_ID

_EVENT: dict[str, Any] = {"origin": "scales", "custom_id": 7, "severity": "warning", "description": "Soup is heavy"}


def test_an_event_from_outside(admin: Asker, store: Store) -> None:
    made = admin.post("events", {**_EVENT, "vm": {"id": VM_ID}, "cluster": {"name": "kitchen"}})
    assert (made["code"], made["severity"], made["origin"], made["custom_id"]) == ("9802", "warning", "scales", "7")
    assert (made["vm"]["id"], made["cluster"]["id"]) == (VM_ID, CLUSTER_ID)
    assert admin.get("events?max=1")["event"][0]["id"] == made["id"]
    admin.post("events", _EVENT, status=409)
    admin.delete(f"events/{made['id']}")
    admin.get(f"events/{made['id']}", status=404)
    assert events(store, 1)[0].code == 34  # nothing tells of it, as in oVirt


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**_EVENT, "origin": "oVirt"}, 400),
        ({**_EVENT, "origin": ""}, 400),
        ({**_EVENT, "severity": "loud"}, 400),
        ({**_EVENT, "log_on_host": True}, 400),
        ({**_EVENT, "vm": {"name": "nowhere"}}, 404),
    ],
)
def test_what_events_cannot_be(admin: Asker, body: Any, status: int) -> None:
    admin.post("events", body, status=status)


def test_a_job_from_outside_with_its_steps(admin: Asker, store: Store) -> None:
    job = admin.post("jobs", {"description": "Washing up", "external": True, "auto_cleared": True})
    assert (job["status"], job["external"], job["auto_cleared"]) == ("started", "true", "true")
    path = f"jobs/{job['id']}"
    steps = [admin.post(f"{path}/steps", {"description": text, "type": "executing"}) for text in ("Rinse", "Dry")]
    below = {"description": "Forks", "type": "unknown", "parent_step": {"id": steps[0]["id"]}}
    assert admin.post(f"{path}/steps", below)["parent_step"]["id"] == steps[0]["id"]
    assert [step["number"] for step in steps] == ["0", "1"]
    admin.post(f"{path}/steps/{steps[0]['id']}/end", {"succeeded": True}, status=200)
    admin.post(f"{path}/end", {"succeeded": False, "force": True}, status=200)
    told = {step["description"]: step["status"] for step in admin.get(f"{path}/steps")["step"]}
    assert told == {"Rinse": "finished", "Dry": "aborted", "Forks": "aborted"}
    ended = admin.get(path)
    assert (ended["status"], "end_time" in ended) == ("failed", True)
    admin.post(f"{path}/clear", {}, status=200)
    assert events(store, 1)[0].description == "New external Job Washing up was added by user admin@internal-authz"


def test_the_engines_own_jobs_are_its_own(admin: Asker) -> None:
    admin.post("jobs", {}, status=400)
    for path, body in (
        (f"jobs/{JOB_ID}/end", {}),
        (f"jobs/{JOB_ID}/clear", {}),
        (f"jobs/{JOB_ID}/steps", {"description": "x", "type": "executing"}),
        (f"jobs/{JOB_ID}/steps/{STEP_ID}/end", {}),
    ):
        assert "external" in str(admin.post(path, body, status=409))


def test_who_may_not_tell_is_not_heard(cook: Asker, store: Store) -> None:
    cook.post("events", _EVENT, status=403)
    cook.post("jobs", {"description": "x"}, status=403)
    give(store, USER_ID, "def0000c-0000-0000-0000-def000000000")
    give(store, USER_ID, "def0000d-0000-0000-0000-def000000000")
    made = cook.post("events", _EVENT)
    cook.post("jobs", {"description": "x"})
    cook.delete(f"events/{made['id']}", status=403)
