# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon in the middle of a change of limits: what its client never heard of has not come about."""

import json

from tests.support.cgroup_files import limit_files
from tests.support.cgroups import CGROUP_MOUNT
from tests.support.freezing_runtime import FreezingRuntime
from tests.support.virtocid import Virtocid
from tests.system.killed.steps import killed_during


def test_half_a_change_is_put_back(virtocid: Virtocid, runtime: FreezingRuntime) -> None:
    """This runtime is told of changes (virtocid does not know it), so it can hold one up behind the cgroup's part."""
    virtocid.run("web", runtime="freezing")
    before = limit_files(virtocid, "web")
    with killed_during(virtocid, runtime, "before update", "schedinfo", "web", "--live", "cpu_shares=77",
                       "pids_limit=7"):  # fmt: skip
        runtime.kill()
        (record,) = (virtocid.root.run_dir / "virtocid/runs").glob("*/run.json")
        assert json.loads(record.read_text())["limits_changing"] is True
        uuid = record.parent.name
        assert (next(CGROUP_MOUNT.glob(f"pids/**/{uuid}-1/container")) / "pids.max").read_text() == "7\n"
    virtocid.start()
    assert limit_files(virtocid, "web") == before
    assert "cpu_shares     : 1024" in virtocid.tell("schedinfo", "web")
    assert "limit=" not in virtocid.tell("dumpxml", "web")
    assert json.loads(record.read_text())["limits_changing"] is False
    virtocid.virsh("schedinfo", "web", "--live", "cpu_shares=77", "pids_limit=7")
    virtocid.restart()
    assert limit_files(virtocid, "web") == before | {"cpu.shares": "77", "pids.max": "7"}


def test_a_runtime_that_fails_is_no_change(virtocid: Virtocid, runtime: FreezingRuntime) -> None:
    virtocid.run("web", runtime="freezing")
    before = limit_files(virtocid, "web")
    with runtime.failing_at("update", "no room in the machine"):
        assert "no room in the machine" in virtocid.refusal("schedinfo", "web", "--live", "cpu_shares=77")
        assert "no room" in virtocid.refusal("setmem", "web", "32M", "--live", "--config")
    assert limit_files(virtocid, "web") == before
    for words in ((), ("--inactive",)):
        assert "<currentMemory unit='KiB'>65536<" in virtocid.tell("dumpxml", "web", *words).replace('"', "'")
    virtocid.virsh("setmem", "web", "32M", "--live", "--config")
