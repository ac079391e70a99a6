# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon while it suspends or resumes: the next one tells what is true."""

import pytest

from tests.support.freezing_runtime import FreezingRuntime
from tests.support.virtocid import Virtocid
from tests.system.killed.steps import killed_during


@pytest.mark.parametrize("step", ["before pause", "after pause"])
def test_suspend(virtocid: Virtocid, runtime: FreezingRuntime, step: str) -> None:
    virtocid.run("web", runtime="freezing")
    with killed_during(virtocid, runtime, step, "suspend", "web"):
        pass
    runtime.wait_until_it_ended()
    virtocid.start()
    assert virtocid.state("web") == "paused (user)"
    virtocid.virsh("resume", "web")
    assert virtocid.state("web") == "running (unpaused)"


def test_suspend_that_did_not_come_about(virtocid: Virtocid, runtime: FreezingRuntime) -> None:
    virtocid.run("web", runtime="freezing")
    with killed_during(virtocid, runtime, "before pause", "suspend", "web"):
        runtime.kill()
    virtocid.start()
    assert virtocid.state("web").startswith("running")
    virtocid.virsh("suspend", "web")


@pytest.mark.parametrize("step", ["before resume", "after resume"])
def test_resume(virtocid: Virtocid, runtime: FreezingRuntime, step: str) -> None:
    virtocid.run("web", runtime="freezing")
    virtocid.virsh("suspend", "web")
    with killed_during(virtocid, runtime, step, "resume", "web"):
        pass
    runtime.wait_until_it_ended()
    virtocid.start()
    assert virtocid.state("web") == "running (unpaused)"


@pytest.mark.parametrize("step", ["before start", "after start"])
def test_first_resume(virtocid: Virtocid, runtime: FreezingRuntime, step: str) -> None:
    virtocid.define("web", runtime="freezing")
    virtocid.virsh("start", "--paused", "web")
    with killed_during(virtocid, runtime, step, "resume", "web"):
        pass
    runtime.wait_until_it_ended()
    virtocid.start()
    assert virtocid.state("web") == "running (unpaused)"
    virtocid.wait_for_output("web", "serving")


def test_first_resume_that_did_not_come_about(virtocid: Virtocid, runtime: FreezingRuntime) -> None:
    virtocid.define("web", runtime="freezing")
    virtocid.virsh("start", "--paused", "web")
    with killed_during(virtocid, runtime, "before start", "resume", "web"):
        runtime.kill()
    virtocid.start()
    assert virtocid.state("web") == "paused (user)"
    virtocid.virsh("resume", "web")
    virtocid.wait_for_output("web", "serving")
