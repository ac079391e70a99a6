# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Guests follow the storage they are on, and nobody is resumed whom a user paused."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from covirt.common.errors import Unavailable
from covirt.host.virt.storage_loss import StorageLoss
from covirt.host.virt.volumes import VolumeRef
from tests.support.waiting import wait_until

GOOD, BAD = "good", "bad"


class Stuck(Unavailable):
    template = "it does not answer"


@dataclass
class FakeGuest:
    vm_id: str
    is_container: bool = True
    domains: tuple[str, ...] = (BAD,)
    resume_behavior: str = "auto_resume"
    state: str = "running"
    calls: list[str] = field(default_factory=list)
    stuck: bool = False
    seconds: float = 0
    lacks_space: bool = False
    gate: threading.Event | None = None
    inside: threading.Event = field(default_factory=threading.Event)

    @property
    def volumes(self) -> tuple[VolumeRef, ...]:
        return tuple(VolumeRef(pool_id="p", domain_id=one, image_id="i", volume_id="v") for one in self.domains)

    def is_paused(self) -> bool:
        return self.state in ("paused", "error")

    def is_paused_by_error(self) -> bool:
        return self.state == "error"

    def paused_seconds(self) -> float:
        return self.seconds

    def pause_for_storage(self) -> None:
        self.inside.set()
        if self.gate is not None:
            self.gate.wait(30)
        if self.stuck:
            raise Stuck
        self.calls.append("pause")
        self.state = "paused"

    def resume(self) -> None:
        self.calls.append("resume")
        self.state = "running"

    def kill_after_pause(self) -> None:
        if self.stuck:
            raise Stuck
        self.calls.append("kill")
        self.state = "gone"


@dataclass
class Host:
    directory: Path
    guests: list[FakeGuest] = field(default_factory=list)
    agent: StorageLoss = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.agent = StorageLoss(lambda: self.guests, self.directory)
        self.agent.start()

    def add(self, guest: FakeGuest) -> FakeGuest:
        self.guests.append(guest)
        return guest

    def tell(self, *, ok: bool) -> None:
        self.agent.domain_health(BAD, ok)
        wait_until(lambda: not self.agent._busy)

    def look_at_pauses(self) -> None:
        self.agent.end_long_pauses()
        wait_until(lambda: not self.agent._looked_at)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path / "pauses")
    yield made
    made.agent.stop()


def test_a_container_waits_for_its_storage(host: Host) -> None:
    on_it, elsewhere = host.add(FakeGuest("a")), host.add(FakeGuest("b", domains=(GOOD,)))
    host.tell(ok=False)
    assert (on_it.state, elsewhere.state) == ("paused", "running")
    host.tell(ok=True)
    assert (on_it.calls, elsewhere.calls) == (["pause", "resume"], [])
    host.tell(ok=True)
    assert on_it.calls == ["pause", "resume"]


def test_the_log_tells_of_guests_and_not_again_of_storage(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """The storage monitor has said what is wrong with the storage."""
    caplog.set_level("INFO")
    host.add(FakeGuest("a"))
    host.tell(ok=False)
    host.tell(ok=True)
    assert [record.message.partition(" vm=")[0] for record in caplog.records] == [
        "A guest whose storage is away is paused",
        "A guest whose storage is back goes on",
    ]


def test_one_on_two_domains_waits_for_both(host: Host) -> None:
    guest = host.add(FakeGuest("a", domains=(BAD, GOOD)))
    host.agent.domain_health(GOOD, False)
    host.tell(ok=False)
    host.tell(ok=True)
    assert guest.state == "paused"
    host.agent.domain_health(GOOD, True)
    wait_until(lambda: guest.state == "running")


def test_whom_a_user_paused(host: Host) -> None:
    guest = host.add(FakeGuest("a", state="paused"))
    host.tell(ok=False)
    host.tell(ok=True)
    assert guest.calls == []


@pytest.mark.parametrize(
    ("wish", "seconds", "calls"),
    [
        ("leave_paused", 500, ["pause"]),
        ("kill", 500, ["pause", "kill"]),
        ("kill", 79, ["pause", "resume"]),
        ("auto_resume", 500, ["pause", "resume"]),
    ],
)
def test_what_an_engine_wishes(host: Host, wish: str, seconds: float, calls: list[str]) -> None:
    guest = host.add(FakeGuest("a", resume_behavior=wish, seconds=seconds))
    host.tell(ok=False)
    host.tell(ok=True)
    assert guest.calls == calls


@pytest.mark.parametrize("state", ["running", "paused"])
def test_somebody_decided_meanwhile(host: Host, state: str) -> None:
    """To let it run although its storage is away, and perhaps to pause it after that: it stays as it is."""
    guest = host.add(FakeGuest("a", resume_behavior="kill", seconds=500))
    host.tell(ok=False)
    host.agent.forget(guest.vm_id)
    guest.state = state
    host.tell(ok=True)
    assert guest.calls == ["pause"]


def test_one_that_runs_is_not_ended(host: Host) -> None:
    """As when it was resumed past covirt-host."""
    guest = host.add(FakeGuest("a", resume_behavior="kill", seconds=500))
    host.tell(ok=False)
    guest.state = "running"
    host.tell(ok=True)
    assert guest.calls == ["pause"]


def test_a_machine_pauses_itself(host: Host) -> None:
    guest = host.add(FakeGuest("a", is_container=False))
    host.tell(ok=False)
    assert guest.calls == []
    guest.state = "error"
    host.tell(ok=True)
    assert guest.calls == ["resume"]


def test_another_agent_goes_on(host: Host) -> None:
    guest = host.add(FakeGuest("a"))
    host.tell(ok=False)
    host.agent.stop()
    host.begin()
    host.tell(ok=True)
    assert guest.calls == ["pause", "resume"]


def test_guests_that_are_found_after_their_storage(host: Host) -> None:
    guest = host.add(FakeGuest("a"))
    host.tell(ok=False)
    host.agent.stop()
    host.guests.clear()
    host.begin()
    host.tell(ok=True)
    host.guests.append(guest)
    host.add(FakeGuest("b", domains=("never told of",), state="error"))
    host.agent.look_again()
    wait_until(lambda: guest.calls == ["pause", "resume"])
    assert host.guests[1].calls == []


def test_one_that_cannot_be_paused_is_tried_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covirt.host.virt.storage_loss._TRY_SECONDS", 0.01)
    guest = host.add(FakeGuest("a", stuck=True))
    host.agent.domain_health(BAD, False)
    guest.inside.wait(30)
    guest.stuck = False
    wait_until(lambda: not host.agent._busy)
    host.tell(ok=False)
    assert guest.calls == ["pause"]


def test_storage_that_is_back_before_a_pause_was_done(host: Host) -> None:
    guest = host.add(FakeGuest("a", gate=threading.Event()))
    host.agent.domain_health(BAD, False)
    guest.inside.wait(30)
    host.agent.domain_health(BAD, True)
    assert guest.gate is not None
    guest.gate.set()
    wait_until(lambda: guest.calls == ["pause", "resume"])


@pytest.mark.parametrize(
    ("wish", "seconds", "calls"),
    [
        ("leave_paused", 500, ["pause"]),
        ("kill", 500, ["pause", "kill"]),
        ("kill", 79, ["pause"]),
        ("auto_resume", 500, ["pause"]),
    ],
)
def test_a_long_pause_ends_before_the_storage_is_back(
    host: Host, wish: str, seconds: float, calls: list[str]
) -> None:
    """Somebody else waits for what the guest holds, as Vdsm has it."""
    guest = host.add(FakeGuest("a", resume_behavior=wish, seconds=seconds))
    host.tell(ok=False)
    for _ in range(2):
        host.look_at_pauses()
    assert guest.calls == calls


@pytest.mark.parametrize(
    ("state", "lacks_space", "calls"),
    [("error", False, ["kill"]), ("error", True, []), ("paused", False, []), ("running", False, [])],
)
def test_which_long_pauses_end(host: Host, state: str, lacks_space: bool, calls: list[str]) -> None:
    """Those for storage that fails: a user's goes on, and who lacks space gets some."""
    guest = host.add(FakeGuest("a", False, state=state, lacks_space=lacks_space, resume_behavior="kill", seconds=500))
    host.look_at_pauses()
    assert guest.calls == calls


def test_one_that_cannot_be_ended_is_tried_again(host: Host) -> None:
    guest = host.add(FakeGuest("a", False, state="error", resume_behavior="kill", seconds=500, stuck=True))
    host.look_at_pauses()
    guest.stuck = False
    host.look_at_pauses()
    assert guest.calls == ["kill"]


def test_pauses_are_looked_at_now_and_then(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covirt.host.virt.storage_loss._LOOK_SECONDS", 0.01)
    host.agent.stop()
    host.begin()
    guest = host.add(FakeGuest("a", False, state="error", resume_behavior="kill", seconds=500))
    wait_until(lambda: guest.calls == ["kill"])


def test_one_that_was_destroyed_in_its_pause_is_another_one_later(host: Host) -> None:
    host.add(FakeGuest("a"))
    host.tell(ok=False)
    host.guests.clear()
    host.agent.forget("a")
    again = host.add(FakeGuest("a", state="paused"))
    host.tell(ok=True)
    assert again.calls == []
