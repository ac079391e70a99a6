# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who is started, started again, left alone and ended; with real processes that only sleep."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from covirt.cli.up.daemons import Daemon
from covirt.cli.up.installation import Installation
from covirt.cli.up.records import Started, launched, write_own_record
from covirt.cli.up.supervisor import Supervisor
from covirt.common.process import run
from tests.support.waiting import wait_until

SLEEP = ("sleep", "1000")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation.at(str(tmp_path))


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def supervise(installation: Installation, clock: list[float]) -> Iterator[Callable[..., Supervisor]]:
    made = []

    def supervisor(*wanted: Daemon) -> Supervisor:
        made.append(Supervisor(installation, wanted, clock=lambda: clock[0]))
        return made[-1]

    yield supervisor
    for one in made:
        one.settle()
    for process in list(installation.records.running()):
        installation.records.end(process.name, grace_seconds=10)
    wait_until(lambda: not any(one.has_started("sleeper") for one in made), what="the end")


def found(installation: Installation, name: str = "sleeper") -> Started:
    """Once it has become the daemon."""
    wait_until(lambda: installation.records.find(name) is not None, what=name)
    process = installation.records.find(name)
    assert process is not None
    wait_until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n", what="an exec")
    return process


def killed(supervisor: Supervisor, installation: Installation) -> None:
    process = found(installation)
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: installation.records.find("sleeper") is None, what="the end")
    supervisor.look()


def test_what_ends_is_started_again_and_later_each_time(
    installation: Installation, supervise: Callable[..., Supervisor], clock: list[float]
) -> None:
    supervisor = supervise(Daemon(name="sleeper", argv=SLEEP))
    supervisor.look()
    first = found(installation)
    supervisor.look()
    assert found(installation) == first
    delays = []
    for _ in range(3):
        killed(supervisor, installation)
        before = clock[0]
        while not supervisor.has_started("sleeper"):
            clock[0] += 0.25
            supervisor.look()
            assert clock[0] - before < 30
        delays.append(clock[0] - before)
    assert delays == [0.5, 1.0, 2.0]


def test_a_new_supervisor_finds_what_the_old_one_started(
    installation: Installation, supervise: Callable[..., Supervisor]
) -> None:
    supervise(Daemon(name="sleeper", argv=SLEEP)).look()
    before = found(installation)
    supervise(Daemon(name="sleeper", argv=SLEEP)).look()
    assert found(installation) == before


def test_somebody_elses_is_left_alone(installation: Installation, supervise: Callable[..., Supervisor]) -> None:
    supervise(Daemon(name="sleeper", argv=SLEEP, of_others=lambda: True)).look()
    assert list(installation.records.running()) == []


def test_what_lacks_its_place_waits_and_is_ended(
    installation: Installation, supervise: Callable[..., Supervisor]
) -> None:
    place: list[bool] = []
    supervisor = supervise(Daemon(name="sleeper", argv=SLEEP, may_run=lambda: bool(place), grace_seconds=10))
    supervisor.look()
    assert list(installation.records.running()) == []
    place.append(True)
    supervisor.look()
    found(installation)
    place.clear()
    supervisor.look()
    assert list(installation.records.running()) == []


def test_a_record_counts_for_its_very_process_only(installation: Installation) -> None:
    path = installation.records.path("sleeper")
    write_own_record(path)
    own = installation.records.find("sleeper")
    assert own is not None
    assert own.pid == os.getpid()
    path.write_text(path.read_text().replace('"start_time": ', '"start_time": 1'))
    assert installation.records.find("sleeper") is None
    assert installation.records.end("sleeper", grace_seconds=1) is False
    path.write_text("nonsense")
    assert installation.records.find("sleeper") is None


def test_the_launcher_wants_a_command(tmp_path: Path) -> None:
    argv = launched(tmp_path / "record", (), python=sys.executable)
    assert run(argv, timeout_seconds=60, check=False).status == 1
    assert not (tmp_path / "record").exists()
