# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A world ends with its command, and what a killed run leaves is removed by the next."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from covirt.common.process import PIPE, Child, Completed, run, spawn
from tests.support.cgroups import hierarchies
from tests.support.run_state import STATE_VARIABLE, state_dir
from tests.support.waiting import wait_until

_REPOSITORY: Final = Path(__file__).parents[3]
_LEAVE_A_LOT: Final = """mkdir /sys/fs/cgroup/*/left; setsid sleep 1000 &
for place in /run/t /run/disk; do
    truncate -s 1M $place/file-of-a-killed-run
    losetup -f $place/file-of-a-killed-run
done"""


@pytest.fixture(autouse=True)
def _own_records(open_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(open_dir))


def launched(*command: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.launch", *command]


def _records() -> dict[str, str]:
    return {STATE_VARIABLE: os.environ[STATE_VARIABLE]}


def launch(*command: str) -> Completed:
    return run(launched(*command), timeout_seconds=60, check=False, directory=_REPOSITORY, environment=_records())


def launch_and_wait_for_line(*command: str) -> Child:
    child = spawn(launched(*command), stdout=PIPE, directory=_REPOSITORY, environment=_records())
    assert child.stdout.readline() == b"ready\n"
    return child


def remains() -> list[Path]:
    """Groups and records of launched runs, as seen from this test's own world."""
    groups = [group for tree in hierarchies() for group in tree.place.glob("covirt-tests-*")]
    return [*groups, *state_dir().iterdir()]


@pytest.mark.parametrize(("command", "status"), [("exit 7", 7), ("kill -9 $$", 137), ("true", 0)])
def test_the_exit_status_is_the_commands(command: str, status: int) -> None:
    assert launch("sh", "-c", command).status == status
    assert remains() == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_cleans_up_by_itself(how: signal.Signals) -> None:
    with launch_and_wait_for_line("sh", "-c", "setsid sleep 1000 & echo ready; wait") as child:
        if how == signal.SIGINT:  # a terminal sends it to everybody in the foreground
            _interrupt(_family(child.pid), how)
        else:
            child.signal(how)
        assert child.wait(timeout_seconds=30) == 128 + how
    assert remains() == []


def test_after_kill_9_everything_dies_and_the_next_run_removes_the_rest() -> None:
    loops = len(_loops())
    with launch_and_wait_for_line("sh", "-c", f"{_LEAVE_A_LOT}; echo ready; wait") as child:
        family = _family(child.pid)
        child.signal(signal.SIGKILL)
        child.wait(timeout_seconds=30)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), what="the end of all processes")
    assert remains()
    assert len(_loops()) == loops + 2
    assert b"removing what the killed test run" in launch("true").stderr
    assert remains() == []
    assert len(_loops()) == loops


def test_a_live_run_is_left_alone() -> None:
    with launch_and_wait_for_line("sh", "-c", "echo ready; read -r line </dev/null; sleep 1000") as child:
        before = remains()
        assert launch("true").status == 0
        assert remains() == before
        child.signal(signal.SIGTERM)
        child.wait(timeout_seconds=30)


def _loops() -> list[Path]:
    """Loop devices on the files of _LEAVE_A_LOT."""
    backing = Path("/sys/block").glob("loop*/loop/backing_file")
    return [path for path in backing if "file-of-a-killed-run" in path.read_text()]


def _interrupt(pids: Sequence[int], how: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, how)


def _family(pid: int) -> list[int]:
    """The process and its descendants."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def _parent(path: Path) -> int:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
