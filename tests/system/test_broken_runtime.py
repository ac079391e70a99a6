# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A runtime that fails or hangs: one clear sentence, nothing left, and the next try may work."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.freezing_runtime import FreezingRuntime, freezing_runtime
from tests.support.network import LinuxBridge, new_linux_bridge
from tests.support.roots import new_directory
from tests.support.traces import traces_of_runs
from tests.support.virtocid import Virtocid, bridge_device, serve_virtocid
from tests.system.test_stop_causes import told


@pytest.fixture(scope="module")
def runtime() -> Iterator[FreezingRuntime]:
    with new_directory() as directory:
        yield freezing_runtime(directory)


@pytest.fixture(scope="module")
def virtocid_daemon(busybox_layout: Path, runtime: FreezingRuntime) -> Iterator[Virtocid]:
    configuration = f"{runtime.configuration}\n[container]\nruntime_timeout_seconds = 3\n"
    with serve_virtocid(busybox_layout, configuration=configuration) as running:
        yield running


@pytest.mark.parametrize("operation", ["create", "start"])
def test_start_that_fails(
    virtocid: Virtocid, runtime: FreezingRuntime, linux_bridge: LinuxBridge, operation: str
) -> None:
    virtocid.define("web", runtime="freezing", devices=bridge_device(linux_bridge.name))
    with runtime.failing_at(operation, "the moon is full"):
        text = virtocid.refusal("start", "web")
    assert "domain 'web' could not be started" in text
    assert "the moon is full" in text
    assert virtocid.state("web") == "shut off (failed)"
    assert "the moon is full" in told(virtocid).message
    assert traces_of_runs(virtocid.root) == []
    virtocid.virsh("start", "web")


@pytest.mark.parametrize("step", ["before create", "before start"])
def test_start_that_hangs(virtocid: Virtocid, runtime: FreezingRuntime, linux_bridge: LinuxBridge, step: str) -> None:
    virtocid.define("web", runtime="freezing", devices=bridge_device(linux_bridge.name))
    with runtime.standing_at(step):
        text = virtocid.refusal("start", "web")
        assert "did not finish within 3" in text
        assert virtocid.state("web") == "shut off (failed)"
    runtime.wait_until_it_ended()
    assert traces_of_runs(virtocid.root) == []
    virtocid.virsh("start", "web")


def test_destroy_that_fails_may_be_tried_again(virtocid: Virtocid, runtime: FreezingRuntime) -> None:
    virtocid.run("web", runtime="freezing")
    with runtime.failing_at("kill", "no knife"):
        assert "no knife" in virtocid.refusal("destroy", "web")
        assert virtocid.state("web") == "running (booted)"
    virtocid.virsh("destroy", "web")
    assert virtocid.state("web") == "shut off (destroyed)"
    assert traces_of_runs(virtocid.root) == []


def test_delete_that_fails_leaves_what_can_be_removed_at_the_next_start(
    virtocid: Virtocid, runtime: FreezingRuntime
) -> None:
    virtocid.run("web", runtime="freezing")
    with runtime.failing_at("delete", "no broom"):
        virtocid.virsh("destroy", "web")
    assert virtocid.state("web") == "shut off (destroyed)"
    assert "no broom" in virtocid.log
    virtocid.virsh("start", "web")
    virtocid.virsh("destroy", "web")
    virtocid.restart()
    assert not [trace for trace in traces_of_runs(virtocid.root) if not trace.startswith("file")]


def test_suspend_that_fails(virtocid: Virtocid, runtime: FreezingRuntime) -> None:
    virtocid.run("web", runtime="freezing")
    with runtime.failing_at("pause", "too warm"):
        assert "too warm" in virtocid.refusal("suspend", "web")
    assert virtocid.state("web") == "running (booted)"
    virtocid.virsh("suspend", "web")
    with runtime.failing_at("resume", "too cold"):
        assert "too cold" in virtocid.refusal("resume", "web")
    assert virtocid.state("web") == "paused (user)"
    virtocid.virsh("resume", "web")


def test_restart_that_fails_ends_the_domain(virtocid: Virtocid, runtime: FreezingRuntime) -> None:
    with new_linux_bridge() as bridge:
        virtocid.run("web", runtime="freezing", devices=bridge_device(bridge.name))
        virtocid.wait_for_output("web", "serving")
    virtocid.virsh("reboot", "web")
    virtocid.wait_for_state("web", "shut off (failed)")
    assert bridge.name in told(virtocid).message
    assert traces_of_runs(virtocid.root) == []


def test_one_that_hangs_does_not_delay_the_others(virtocid: Virtocid, runtime: FreezingRuntime) -> None:
    virtocid.define("slow", runtime="freezing")
    virtocid.run("quick")
    with runtime.standing_at("before start"), virtocid.virsh_running("start", "slow"):
        runtime.wait_until_it_stands()
        assert virtocid.state("quick") == "running (booted)"
        assert virtocid.tell("domstats", "quick")
        assert "slow" in virtocid.tell("list", "--all", "--name")
        virtocid.virsh("destroy", "quick")
    runtime.wait_until_it_ended()
