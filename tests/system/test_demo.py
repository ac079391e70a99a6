# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: told in full once, and its namespaces with a shorter story."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from covirt.common.process import DEVNULL, PIPE, Child, Completed, run, spawn
from tests.support.run_state import state_dir

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_SECONDS: Final = 100.0
# The demo's namespaces, and in them a story of one line.
_SHORT: Final = """
import sys, time
from tools.demo.namespaces import Namespaces
namespaces = Namespaces()
status = namespaces.run(lambda: {story}, keep={keep})
if not ({keep} and status == 0):
    namespaces.remove()
sys.exit(status)
"""
_SLEEP: Final = "print('asleep', flush=True) or time.sleep(100)"


@pytest.fixture(autouse=True)
def _no_record_is_left() -> Iterator[None]:
    """What a demo has on the machine has a record."""
    yield
    assert records() == []
    if not list(state_dir().iterdir()):
        state_dir().rmdir()


def records() -> list[Path]:
    return list(state_dir().glob("covirt-demo-*"))


def demo(*arguments: str) -> Completed:
    argv = [sys.executable, "-m", "tools.demo", *arguments]
    return run(argv, directory=_REPOSITORY, timeout_seconds=_SECONDS, check=False)


def short(story: str, *, keep: bool = False) -> Child:
    code = _SHORT.format(story=story, keep=keep)
    return spawn([sys.executable, "-c", code], directory=_REPOSITORY, stdout=PIPE, stderr=DEVNULL)


@pytest.mark.runc
@pytest.mark.qemu
def test_both_kinds_side_by_side() -> None:
    told = demo()
    text = told.stdout.decode()
    assert told.status == 0, text + told.complaint
    assert told.complaint == ""
    rows = {cells[0]: cells[1:] for cells in _table(text)}
    assert rows["name"] == ["web", "guest"]
    assert rows["status"][0] == "up"
    assert rows["status"][1] in ("up", "powering_up")
    assert all(address.startswith("10.77.0.") for address in rows["address"])
    assert rows["host"] == ["demo", "demo"]
    assert "-" not in {cell for cells in rows.values() for cell in cells}
    assert "Cannot migrate VM. web is a container" in text
    assert "its process ended with exit code 3" in text
    assert max(len(line) for line in text.splitlines() if line.startswith(("│", "┃"))) <= 80


def _table(text: str) -> list[list[str]]:
    """The cells of the lines between vertical strokes."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line[:1] == "│"]


def test_a_kept_one_is_entered_and_stopped() -> None:
    with short("0", keep=True) as first:
        assert first.wait(timeout_seconds=_SECONDS) == 0
    assert demo("enter", "hostname").stdout == b"demo\n"
    assert demo("enter", "sh", "-c", "exit 7").status == 7
    second = demo("--keep")
    assert (second.status, second.complaint) == (1, "demo: a demo is running already; ./dev demo stop ends it")
    assert demo("stop").status == 0
    again = demo("stop")
    assert (again.status, again.complaint) == (1, "demo: no demo is running; ./dev demo --keep starts one")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it(number: int) -> None:
    with short(_SLEEP) as child:
        assert child.stdout.readline() == b"asleep\n"
        child.signal(number)
        assert child.wait(timeout_seconds=_SECONDS) != 0


def test_a_killed_one_is_removed_by_the_next() -> None:
    with short(_SLEEP) as child:
        assert child.stdout.readline() == b"asleep\n"
        child.signal(signal.SIGKILL)
        child.wait(timeout_seconds=_SECONDS)
    assert records() != []
    with short("0") as child:
        assert child.wait(timeout_seconds=_SECONDS) == 0
