# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine is killed at any place of an operation: its restart ends or undoes that, and nothing stays locked."""

import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from covirt.common.process import run
from covirt.engine.model.event import JobStatus
from covirt.engine.store.store import Store
from tests.support.tower import PLACE

_SECONDS = 120
_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the last test looks at both


@dataclass(frozen=True)
class Site:
    """Where towers are built."""

    url: str
    directory: Path

    def build(self, height: int, *, fails_at: int = 0, kill: str = "", key: str = "") -> dict[str, object] | None:
        """What came of it, or None when the engine was killed as it was told to be."""
        return self._engine("build", str(height), str(fails_at), kill=kill, key=key)

    def forget(self) -> dict[str, object] | None:
        """All that has ended."""
        return self._engine("forget", kill="")

    def restart(self, kill: str = "") -> dict[str, object] | None:
        return self._engine(kill=kill)

    def _engine(self, *order: str, kill: str, key: str = "") -> dict[str, object] | None:
        environment = {"COVIRT_KILL": kill, "COVIRT_KEY": key, "PYTHONPATH": "."}
        argv = [sys.executable, "-m", "tests.support.tower", self.url, str(self.directory), *order]
        done = run(
            argv,
            timeout_seconds=_SECONDS,
            check=False,
            environment=environment,
        )
        if kill:
            assert done.status == -signal.SIGKILL, done.stderr
            return None
        assert done.status == 0, done.stderr
        answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return answer

    @property
    def stones(self) -> set[str]:
        return {path.name for path in self.directory.glob("stone*")}

    @property
    def notes(self) -> list[str]:
        return (self.directory / "notes").read_text().splitlines()

    def events(self, code: int) -> list[str]:
        store = Store.open(self.url)
        with store.read() as session:
            found = [event for event in session.events.list() if event.code == code]
        store.close()
        return [event.description for event in sorted(found, key=lambda each: each.id)]

    def job(self) -> JobStatus:
        """Of the only one; nothing is locked."""
        store = Store.open(self.url)
        with store.read() as session:
            session.commands.check_unlocked([PLACE])
            (job,) = session.jobs.list()
            steps = session.steps.list()
        store.close()
        assert job.description == "Building a tower of 3"
        assert all(step.end_time and step.status is not JobStatus.STARTED for step in steps)
        return job.status


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Site:
    directory = tmp_path / "site"
    directory.mkdir()
    return Site(database_url, directory)


def test_nobody_kills_it(site: Site) -> None:
    assert site.build(3) == {"result": {"stones": [1, 2, 3]}}
    assert site.notes == ["placed 1", "placed 2", "placed 3", "built"]
    assert site.job() is JobStatus.FINISHED


@pytest.mark.parametrize("place", ["begun", "after:2"])
def test_a_request_that_is_repeated_is_done_once(site: Site, place: str) -> None:
    """The engine was killed before it answered, and the client asks again."""
    site.build(3, kill=place, key="morning a-tower-of-3")
    for _ in range(2):
        assert site.build(3, key="morning a-tower-of-3") == {"result": {"stones": [1, 2, 3]}}
    assert [note for note in site.notes if note == "built"] == ["built"]
    assert site.job() is JobStatus.FINISHED
    answer = site.build(3, key="morning something-else")
    assert answer is not None
    assert "was sent with another request" in str(answer["error"])


def test_what_has_ended_is_forgotten(site: Site) -> None:
    """By whoever carries operations on, too."""
    site.build(2)
    site.build(2, fails_at=2)
    assert site.forget() == {"forgotten": 2, "kept": 0}
    assert site.forget() == {"forgotten": 0, "kept": 0}
    store = Store.open(site.url)
    with store.read() as session:
        assert not [*session.jobs.list(), *session.steps.list()]
    store.close()
    assert site.build(3) == {"result": {"stones": [1, 2, 3]}}


def test_a_step_fails(site: Site) -> None:
    """It is undone, the last step first, and who waits gets the reason with its meaning."""
    reason = "The tower cannot be built. Stone 3 does not hold."
    assert site.build(3, fails_at=3) == {"error": ["Conflict", reason]}
    assert site.notes == ["placed 1", "placed 2", "taken 3", "taken 2", "taken 1", f"failed {reason}"]
    assert not site.stones
    assert site.job() is JobStatus.FAILED


@_ONE_DATABASE
def test_its_end_has_a_bug(site: Site) -> None:
    """Everything is undone, and who waits is told where to look."""
    answer = site.build(3, fails_at=-1)
    assert answer is not None
    assert "Internal Engine Error" in str(answer["error"])
    assert not site.stones
    assert site.notes[-1].startswith("failed Internal Engine Error")
    assert site.job() is JobStatus.FAILED


@_ONE_DATABASE
def test_undoing_is_tried_again(site: Site) -> None:
    """For as long as it takes; who looks at the events learns that it waits."""
    (site.directory / "fog").write_text("7")
    site.build(3, fails_at=2)
    assert site.notes[1:10] == ["taken 2"] * 8 + ["taken 1"]
    assert not site.stones
    (event,) = site.events(15010)
    assert "Building a tower of 3 has failed and waits to be undone (Stone 2): The tower is not to be seen" in event


@_ONE_DATABASE
def test_what_cannot_be_undone_is_told(site: Site) -> None:
    (site.directory / "rock").touch()
    site.build(3, fails_at=2)
    assert site.job() is JobStatus.FAILED
    assert [event.partition("(")[2].partition(")")[0] for event in site.events(15011)] == ["Stone 2", "Stone 1"]


@_ONE_DATABASE
@pytest.mark.parametrize("place", ["begun", "before:1", "before:2", "after:2", "after:3", "end"])
def test_killed_while_it_is_built(site: Site, place: str) -> None:
    """Steps that had ended are not run again; the one that was under way is."""
    site.build(3, kill=place)
    site.restart()
    assert site.stones == {"stone1", "stone2", "stone3"}
    assert site.job() is JobStatus.FINISHED
    again = {"after:2": ["placed 2"], "after:3": ["placed 3"], "end": ["built"]}.get(place, [])
    assert sorted(site.notes) == sorted([*again, "placed 1", "placed 2", "placed 3", "built"])


@_ONE_DATABASE
@pytest.mark.parametrize("place", ["after:1", "undo:3", "undo:1"])
def test_killed_while_it_fails(site: Site, place: str) -> None:
    site.build(3, fails_at=3, kill=place)
    site.restart()
    assert not site.stones
    assert site.job() is JobStatus.FAILED
    assert sum(note.startswith("failed") for note in site.notes) == 1


def test_killed_again_and_again(site: Site) -> None:
    site.build(3, fails_at=3, kill="after:1")
    site.restart(kill="before:2")
    site.restart(kill="after:2")
    site.restart(kill="undo:2")
    site.restart()
    assert not site.stones
    assert site.job() is JobStatus.FAILED
