# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The leak check itself: each kind of thing is noticed, named and removed."""

import re
import tempfile
from collections.abc import Callable

import pytest

from covirt.common.process import Child, run, spawn
from tests.support import leaks
from tests.support.cgroups import CGROUP_MOUNT, hierarchies
from tests.support.leaks import LeakCheck
from tests.support.syscalls import mount
from tests.support.world import WORLD_DIR


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_SETTLE_SECONDS", 0.2)


_left: list[Child] = []


def leave_child() -> str:
    _left.append(spawn(["sleep", "1000"]))
    return "processes: .*sleep"


def leave_orphan() -> str:
    run(["bash", "-c", "setsid sleep 1000 </dev/null >/dev/null 2>&1 &"], timeout_seconds=10)
    return "processes: .*sleep"


def leave_mount() -> str:
    target = WORLD_DIR / "tmp"
    mount("tmpfs", target, "tmpfs", options="mode=1777")
    return "mounts and network namespaces: /run/t/tmp"


def leave_network_namespace() -> str:
    run(["ip", "netns", "add", "leaked"], timeout_seconds=10)
    return "mounts and network namespaces: .*/run/netns/leaked"


def leave_link() -> str:
    run(["ip", "link", "add", "leak0", "type", "bridge"], timeout_seconds=10)
    return "links: leak0"


def leave_cgroup() -> str:
    trees = hierarchies()
    top = CGROUP_MOUNT / trees[0].mount_point.name if trees[0].version == 1 else CGROUP_MOUNT
    (top / "leak/inner").mkdir(parents=True)
    return "cgroups: .*leak/inner"


def leave_loop_device() -> str:
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(1 << 20)
        run(["losetup", "-f", file.name], timeout_seconds=10)
    return "loop devices: /dev/loop"


def leave_directory() -> str:
    return f"temporary files: {tempfile.mkdtemp()}"


@pytest.mark.parametrize(
    "leave",
    [
        leave_child,
        leave_orphan,
        leave_mount,
        leave_network_namespace,
        leave_link,
        leave_cgroup,
        leave_loop_device,
        leave_directory,
    ],
)
def test_a_leak_is_named_and_removed(leave: Callable[[], str]) -> None:
    check = LeakCheck(world=True)
    pattern = leave()
    assert re.search(pattern, "\n".join(check.left_behind()))
    while _left:
        _left.pop().wait(timeout_seconds=10)
    assert LeakCheck(world=True).left_behind() == []
    assert check.left_behind() == []
