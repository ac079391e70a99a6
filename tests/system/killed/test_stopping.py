# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon in the middle of a stop: brought to its end by the next one, with the cause asked for."""

import pytest

from tests.support.freezing_runtime import FreezingRuntime
from tests.support.network import LinuxBridge
from tests.support.virtocid import STUBBORN, Virtocid, bridge_device, domain_xml
from tests.support.waiting import wait_until
from tests.system.killed.steps import killed_during, nothing_is_left
from tests.system.test_stop_causes import told

_STEPS = ["before kill", "after kill", "before delete", "after delete"]


@pytest.mark.parametrize("step", _STEPS)
def test_destroy(virtocid: Virtocid, runtime: FreezingRuntime, linux_bridge: LinuxBridge, step: str) -> None:
    device = bridge_device(linux_bridge.name, f"{linux_bridge.guest_address(2)}/24")
    virtocid.run("web", STUBBORN, runtime="freezing", devices=device)
    virtocid.wait_for_output("web", "serving")
    with killed_during(virtocid, runtime, step, "destroy", "web"):
        pass
    virtocid.start()
    virtocid.wait_for_state("web", "shut off (destroyed)")
    assert told(virtocid).kind == "destroy"
    nothing_is_left(virtocid)


@pytest.mark.parametrize(
    ("step", "words", "state"),
    [
        *((step, "shutdown", "shut off (shutdown)") for step in _STEPS),
        ("before kill", "destroy --graceful", "shut off (destroyed)"),
    ],
)
def test_shutdown(virtocid: Virtocid, runtime: FreezingRuntime, step: str, words: str, state: str) -> None:
    virtocid.run("web", runtime="freezing")
    virtocid.wait_for_output("web", "serving")
    with killed_during(virtocid, runtime, step, *words.split(), "web"):
        pass
    virtocid.start()
    virtocid.wait_for_state("web", state)
    nothing_is_left(virtocid)


def test_graceful_end_of_a_stubborn_one_stays_graceful(virtocid: Virtocid, runtime: FreezingRuntime) -> None:
    virtocid.run("web", STUBBORN, runtime="freezing")
    virtocid.wait_for_output("web", "serving")
    with killed_during(virtocid, runtime, "after kill", "destroy", "--graceful", "web"):
        pass
    virtocid.start()
    assert virtocid.state("web") == "running (booted)"


@pytest.mark.parametrize(("step", "word"), [*((step, "reboot") for step in _STEPS), ("before delete", "reset")])
def test_reboot_is_brought_to_its_end(virtocid: Virtocid, runtime: FreezingRuntime, step: str, word: str) -> None:
    virtocid.run("web", runtime="freezing")
    virtocid.wait_for_output("web", "serving")
    with killed_during(virtocid, runtime, step, word, "web"):
        pass
    virtocid.start()
    wait_until(lambda: virtocid.console_log("web").count("serving") == 2, what="the second run")
    virtocid.wait_for_state("web", "running (booted)")


@pytest.mark.parametrize("step", ["before create", "after create", "before start", "after start"])
def test_reboot_is_finished_from_its_second_half(virtocid: Virtocid, runtime: FreezingRuntime, step: str) -> None:
    virtocid.run("web", runtime="freezing")
    virtocid.wait_for_output("web", "serving")
    number = virtocid.tell("domid", "web")
    with killed_during(virtocid, runtime, step, "reboot", "web"):
        pass
    virtocid.start()
    assert virtocid.state("web") == "running (booted)"
    assert virtocid.tell("domid", "web") == number
    virtocid.virsh("destroy", "web")
    nothing_is_left(virtocid)


def test_reboot_whose_second_start_fails(virtocid: Virtocid, runtime: FreezingRuntime) -> None:
    virtocid.run("web", runtime="freezing")
    virtocid.wait_for_output("web", "serving")
    with killed_during(virtocid, runtime, "before create", "reboot", "web"):
        runtime.kill()
    with runtime.failing_at("create", "no more"):
        virtocid.start()
    assert virtocid.state("web") == "shut off (failed)"
    assert told(virtocid).kind == "start_failed"
    nothing_is_left(virtocid)


@pytest.mark.parametrize("step", ["before delete", "before create", "after start"])
def test_reboot_of_a_transient_domain_too(virtocid: Virtocid, runtime: FreezingRuntime, step: str) -> None:
    with virtocid.xml_file(domain_xml("once", runtime="freezing")) as path:
        virtocid.virsh("create", str(path))
    virtocid.wait_for_output("once", "serving")
    with killed_during(virtocid, runtime, step, "reboot", "once"):
        pass
    virtocid.start()
    virtocid.wait_for_state("once", "running (booted)")
