# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon in the middle of a start: undone by the next one, nothing left, and startable again."""

import pytest

from tests.support.freezing_runtime import FreezingRuntime
from tests.support.network import LinuxBridge
from tests.support.virtocid import Virtocid, bridge_device, domain_xml
from tests.system.killed.steps import killed_during, nothing_is_left
from tests.system.test_stop_causes import told


@pytest.mark.parametrize(
    ("step", "still"),
    [
        ("before create", True),  # the step is still on its way when the next daemon comes
        ("before create", False),
        ("after create", True),
        ("after create", False),
        ("before start", False),
        ("after start", False),
    ],
)
def test_start(
    virtocid: Virtocid, runtime: FreezingRuntime, linux_bridge: LinuxBridge, step: str, still: bool
) -> None:
    device = bridge_device(linux_bridge.name, f"{linux_bridge.guest_address(2)}/24")
    virtocid.define("web", runtime="freezing", devices=device)
    with killed_during(virtocid, runtime, step, "start", "web"):
        if still:
            virtocid.start()
    if not still:
        virtocid.start()
    assert virtocid.state("web") == "shut off (failed)"
    assert told(virtocid).kind == "start_failed"
    assert "virtocid ended during the start" in told(virtocid).message
    nothing_is_left(virtocid)
    virtocid.virsh("start", "web")
    assert virtocid.state("web") == "running (booted)"


@pytest.mark.parametrize("step", ["before create", "after start"])
def test_start_of_a_transient_domain(virtocid: Virtocid, runtime: FreezingRuntime, step: str) -> None:
    given = domain_xml("once", runtime="freezing")
    with virtocid.xml_file(given) as path, killed_during(virtocid, runtime, step, "create", str(path)):
        virtocid.start()
    assert virtocid.tell("list", "--all", "--name") == ""
    nothing_is_left(virtocid)
    assert virtocid.image_users() == []
