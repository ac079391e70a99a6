# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Long operations: their states, stopping, undoing, and what a killed agent's successor does with them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from covirt.common.errors import CommandFailed, Unavailable
from covirt.common.files import write_json
from covirt.host.storage.lanes import NoMoreThreads, lane_of
from covirt.host.storage.operation import (
    BadOperationId,
    Control,
    Kind,
    NoSuchOperation,
    OperationExists,
    OperationNotActive,
    OperationNotDone,
    Params,
    Record,
    State,
)
from covirt.host.storage.operations import Operations
from covirt.host.storage.storage_errors import NoSuchStorageDomain
from tests.support.waiting import wait_until


class StorageGone(Unavailable):
    template = "the storage is not here"


class Work:
    """Kinds whose work waits for the test, and what was done and undone."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began = threading.Event()
        self.done: list[str] = []
        self.undone: list[str] = []
        self.ended: list[Record] = []
        self.undo_error: Exception | None = None
        self.do_error: Exception | None = None

    def kinds(self) -> list[Kind]:
        return [
            Kind(name="make", run=self.wait_and_do, undo=self.undo),
            Kind(name="remove", run=self.do, again=True),
            Kind(name="fail", run=self.fail, undo=self.undo),
        ]

    def do(self, params: Params, control: Control) -> None:
        control.progress(42.7)
        if self.do_error is not None:
            raise self.do_error
        self.done.append(params["name"])

    def wait_and_do(self, params: Params, control: Control) -> None:
        forget = control.on_stop(self.go.set)
        self.began.set()
        assert self.go.wait(30)
        forget()
        control.check()
        self.do(params, control)

    def fail(self, params: Params, _control: Control) -> None:
        raise CommandFailed(program="qemu-img", status=1, stderr=f"no space for {params['name']}")

    def undo(self, params: Params) -> None:
        if self.undo_error is not None:
            raise self.undo_error
        self.undone.append(params["name"])


def describe(error: BaseException) -> tuple[int, str]:
    return 100, str(error)


@contextmanager
def book(directory: Path, work: Work, *, keep_seconds: float | None = None) -> Iterator[Operations]:
    operations = Operations(
        name="tasks", directory=directory, kinds=work.kinds(), describe=describe, workers=2,
        on_end=work.ended.append, keep_seconds=keep_seconds,
    )  # fmt: skip
    operations.start()
    try:
        yield operations
    finally:
        operations.stop()


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.go.set()


def submit(operations: Operations, kind: str, name: str = "disk") -> str:
    return operations.submit(kind, {"name": name}, operation_id=str(uuid4()))


def wait_for(operations: Operations, operation_id: str, state: State) -> Record:
    wait_until(lambda: operations.get(operation_id).state is state, what=f"{state}")
    return operations.get(operation_id)


def write_record(directory: Path, **changes: object) -> str:
    """What an agent killed at that moment leaves."""
    directory.mkdir(mode=0o700, exist_ok=True)
    value = {
        "id": str(uuid4()), "kind": "make", "params": {"name": "half"}, "state": "running", "stop_asked": False,
        "code": 0, "message": "", "undone": None, "ended_at": None, **changes,
    }  # fmt: skip
    write_json(directory / f"{value['id']}.json", value, version=1)
    return str(value["id"])


def test_success(tmp_path: Path, work: Work) -> None:
    with book(tmp_path, work) as operations:
        operation_id = submit(operations, "remove")
        record = wait_for(operations, operation_id, State.DONE)
        assert (record.code, record.undone) == (0, None)
        assert operations.progress_of(operation_id) == 42
        wait_until(lambda: len(work.ended) == 1)
        operations.clear(operation_id)
        with pytest.raises(NoSuchOperation):
            operations.get(operation_id)
    assert not list(tmp_path.iterdir())


def test_failure_is_undone_and_told(tmp_path: Path, work: Work) -> None:
    with book(tmp_path, work) as operations:
        record = wait_for(operations, submit(operations, "fail"), State.FAILED)
    assert record.undone
    assert "no space for disk" in record.message
    assert work.undone == ["disk"]
    assert [ended.state for ended in work.ended] == [State.FAILED]


def test_undo_that_fails_is_told(tmp_path: Path, work: Work) -> None:
    work.undo_error = CommandFailed(program="rm", status=1, stderr="no")
    with book(tmp_path, work) as operations:
        assert wait_for(operations, submit(operations, "fail"), State.FAILED).undone is False


def test_abort_while_running(tmp_path: Path, work: Work) -> None:
    with book(tmp_path, work) as operations:
        operation_id = submit(operations, "make")
        assert work.began.wait(30)
        operations.abort(operation_id)
        record = wait_for(operations, operation_id, State.ABORTED)
        assert record.undone
        with pytest.raises(OperationNotActive):
            operations.abort(operation_id)
    assert (work.done, work.undone) == ([], ["disk"])
    assert [ended.state for ended in work.ended] == [State.ABORTED]


def test_abort_before_its_turn(tmp_path: Path, work: Work) -> None:
    with book(tmp_path, work) as operations:
        running = [submit(operations, "make") for _ in range(2)]
        waiting = submit(operations, "remove")
        operations.abort(waiting)
        assert operations.get(waiting).state is State.ABORTED
        work.go.set()
        for operation_id in running:
            wait_for(operations, operation_id, State.DONE)
    assert work.done == ["disk", "disk"]
    assert work.undone == []


@pytest.mark.parametrize("other", ["revert", "clear"])
def test_of_two_that_come_at_once_only_one_is_heard(
    tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Otherwise it is undone by two threads, or written down again after it was forgotten."""
    hold = threading.Event()
    monkeypatch.setattr(work, "undo", lambda _params: hold.wait(30))
    work.go.set()
    with book(tmp_path, work) as operations:
        operation_id = submit(operations, "make")
        wait_for(operations, operation_id, State.DONE)
        real, both = Operations._ended, threading.Barrier(2)
        refused: list[Exception] = []
        looks: dict[int, int] = {}

        def looked(self: Operations, operation_id: str) -> object:
            found = real(self, operation_id)
            looks[threading.get_ident()] = looks.get(threading.get_ident(), 0) + 1
            if looks[threading.get_ident()] == 1:
                both.wait(30)  # both have seen that it has ended
            return found

        def act(name: str) -> None:
            try:
                getattr(operations, name)(operation_id)
            except (OperationNotDone, NoSuchOperation) as error:
                refused.append(error)

        monkeypatch.setattr(Operations, "_ended", looked)
        threads = [threading.Thread(target=act, args=(name,)) for name in ("revert", other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        hold.set()
    assert len(refused) == 1


def test_running_is_neither_cleared_nor_reverted(tmp_path: Path, work: Work) -> None:
    with book(tmp_path, work) as operations:
        operation_id = submit(operations, "make")
        assert work.began.wait(30)
        for refused in (operations.clear, operations.revert):
            with pytest.raises(OperationNotDone):
                refused(operation_id)
        work.go.set()
        wait_for(operations, operation_id, State.DONE)
        operations.revert(operation_id)
        assert wait_for(operations, operation_id, State.FAILED).undone
    assert work.undone == ["disk"]


def test_storage_that_hangs_holds_its_own_work_only(tmp_path: Path, work: Work) -> None:
    """However much of it there is; between two domains it is held by each of them, and holds neither's own."""
    hanging, well = str(uuid4()), str(uuid4())
    with book(tmp_path, work) as operations:

        def submit_on(kind: str, *domains: str) -> str:
            refs = {f"side{number}": {"ref": {"domain_id": domain}} for number, domain in enumerate(domains)}
            return operations.submit(kind, {"name": "disk", **refs}, operation_id=str(uuid4()))

        held = [submit_on("make", hanging) for _ in range(3)] + [submit_on("make", hanging, well) for _ in range(3)]
        wait_until(lambda: [operations.get(one).state for one in held].count(State.RUNNING) == 4)
        for domain in (well, well, well):
            wait_for(operations, submit_on("remove", domain), State.DONE)
        wait_for(operations, submit(operations, "remove"), State.DONE)
        waits = submit_on("remove", hanging)
        assert [operations.get(one).state for one in (*held, waits)].count(State.PENDING) == 3
        work.go.set()
        for one in (*held, waits):
            wait_for(operations, one, State.DONE)


def test_ids_are_uuids_and_unique(tmp_path: Path, work: Work) -> None:
    with book(tmp_path, work) as operations:
        with pytest.raises(BadOperationId):
            operations.submit("remove", {"name": "disk"}, operation_id="../../etc/passwd")
        operation_id = submit(operations, "remove")
        with pytest.raises(OperationExists):
            operations.submit("remove", {"name": "disk"}, operation_id=operation_id.upper())


def test_secrets_are_not_written(tmp_path: Path, work: Work) -> None:
    seen: list[object] = []
    kinds = [Kind(name="import", run=lambda _params, control: seen.append(control.secrets["password"]))]
    operations = Operations(name="jobs", directory=tmp_path, kinds=kinds, describe=describe, workers=1)
    operations.start()
    operation_id = operations.submit(
        "import", {"name": "disk"}, operation_id=str(uuid4()), secrets={"password": "correct horse"}
    )
    wait_for(operations, operation_id, State.DONE)
    operations.stop()
    assert seen == ["correct horse"]
    assert "correct horse" not in (tmp_path / f"{operation_id}.json").read_text()


@pytest.mark.parametrize("state", ["running", "aborting", "undoing"])
def test_after_a_kill_it_is_undone(tmp_path: Path, work: Work, state: str) -> None:
    operation_id = write_record(tmp_path, state=state)
    with book(tmp_path, work) as operations:
        record = wait_for(operations, operation_id, State.FAILED)
    assert record.undone
    assert work.undone == ["half"]
    with book(tmp_path, work) as operations:
        assert operations.get(operation_id) == record
    assert work.undone == ["half"]


def test_after_a_kill_a_removal_is_finished(tmp_path: Path, work: Work) -> None:
    operation_id = write_record(tmp_path, kind="remove")
    with book(tmp_path, work) as operations:
        wait_for(operations, operation_id, State.DONE)
    assert work.done == ["half"]


def test_after_a_kill_a_removal_waits_for_its_storage(tmp_path: Path, work: Work) -> None:
    """After a reboot no storage is connected yet: half a removal is finished when it is."""
    finished, given_up = (write_record(tmp_path, kind="remove", params={"name": name}) for name in ("one", "two"))
    work.do_error = NoSuchStorageDomain(domain_id="gone")
    with book(tmp_path, work) as operations:

        def aborted() -> bool:
            if operations.get(given_up).state is State.RUNNING:
                operations.abort(given_up)
            return operations.get(given_up).state is State.ABORTED

        def resumed() -> bool:
            operations.resume()
            return operations.get(finished).state.is_final

        wait_until(aborted)
        assert operations.get(finished).state is State.RUNNING
        work.do_error = None
        wait_until(resumed)
        assert operations.get(finished).state is State.DONE
    assert work.done == ["one"]


def test_after_a_kill_a_removal_that_is_refused_fails(tmp_path: Path, work: Work) -> None:
    operation_id = write_record(tmp_path, kind="remove")
    work.do_error = StorageGone()
    with book(tmp_path, work) as operations:
        wait_for(operations, operation_id, State.FAILED)


def test_after_a_kill_what_never_began_does_not_begin(tmp_path: Path, work: Work) -> None:
    operation_id = write_record(tmp_path, kind="remove", state="pending")
    with book(tmp_path, work) as operations:
        wait_for(operations, operation_id, State.FAILED)
    assert work.done == []


def test_undo_waits_for_its_storage(tmp_path: Path, work: Work) -> None:
    operation_id = write_record(tmp_path)
    work.undo_error = StorageGone()
    with book(tmp_path, work) as operations:
        wait_for(operations, operation_id, State.UNDOING)
        work.undo_error = None

        def resumed() -> bool:
            operations.resume()
            return operations.get(operation_id).state is State.FAILED

        wait_until(resumed)
    assert work.undone == ["half"]


def test_what_waits_for_lost_storage_can_be_given_up(tmp_path: Path, work: Work) -> None:
    operation_id = write_record(tmp_path)
    work.undo_error = StorageGone()
    with book(tmp_path, work) as operations:

        def given_up() -> bool:
            if operations.get(operation_id).state is not State.ABORTED:
                operations.abort(operation_id)
            return operations.get(operation_id).state is State.ABORTED

        wait_for(operations, operation_id, State.UNDOING)
        wait_until(given_up)
        assert operations.get(operation_id).undone is False
        operations.clear(operation_id)


def test_damaged_and_unknown_records_stop_nothing(tmp_path: Path, work: Work) -> None:
    (tmp_path / "broken.json").write_text("{")
    unknown = write_record(tmp_path, kind="of another version")
    with book(tmp_path, work) as operations:
        assert wait_for(operations, unknown, State.FAILED).undone is False
        wait_for(operations, submit(operations, "remove"), State.DONE)


def test_stop_ends_what_runs(tmp_path: Path, work: Work) -> None:
    with book(tmp_path, work) as operations:
        operation_id = submit(operations, "make")
        assert work.began.wait(30)
    assert operations.get(operation_id).state is State.FAILED
    assert "covirt-host ended" in operations.get(operation_id).message
    assert work.undone == ["disk"]


def test_ended_ones_are_forgotten_in_time(tmp_path: Path, work: Work) -> None:
    with book(tmp_path, work, keep_seconds=0.0) as operations:
        submit(operations, "remove")
        wait_until(lambda: len(work.ended) == 1)
        assert list(operations.list()) == []
    assert not list(tmp_path.iterdir())


def test_a_full_disk_refuses_new_work(tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_keywords: object) -> None:
        raise OSError(28, "No space left on device")

    with book(tmp_path, work) as operations:
        operation_id = submit(operations, "make")
        assert work.began.wait(30)
        monkeypatch.setattr("covirt.host.storage.operations.write_json", full)
        with pytest.raises(OSError, match="No space"):
            submit(operations, "remove")
        assert [record.id for record in operations.list()] == [operation_id]
        work.go.set()
        # What cannot be written as done would be undone by a successor: so it is now.
        assert wait_for(operations, operation_id, State.FAILED).undone


def test_a_host_without_threads_refuses_new_work(tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it stays, and the next start does not take it up."""

    def none_left(*_arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    kept = write_record(tmp_path, state="done", ended_at=time.time())
    waiting = write_record(tmp_path, state="undoing")
    monkeypatch.setattr("covirt.host.storage.lanes.threading.Thread.start", none_left)
    with book(tmp_path, work) as operations:
        with pytest.raises(NoMoreThreads, match="nothing was begun"):
            submit(operations, "make")
        with pytest.raises(NoMoreThreads):
            operations.revert(kept)
        states = {record.id: record.state for record in operations.list()}
        assert states == {kept: State.DONE, waiting: State.UNDOING}
        monkeypatch.undo()
        operations.resume()
        wait_for(operations, waiting, State.FAILED)
        operations.revert(kept)
        assert wait_for(operations, kept, State.FAILED).undone
    assert {path.stem for path in tmp_path.iterdir()} == {kept, waiting}


def test_a_lane_is_all_that_is_named() -> None:
    other = {"disks": [{"source": {"domain_id": "b"}}, {"domain_id": "c"}], "size": 3, "domain": "d"}
    assert lane_of({"domain_id": "a", **other}) == {"a", "b", "c"}


def test_work_in_a_thread_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covirt.host.storage.operations._STOP_SECONDS", 0.01)
    release = threading.Event()
    stuck: Callable[[Params, Control], object] = lambda _params, _control: release.wait(30)  # noqa: E731
    operations = Operations(
        name="tasks", directory=tmp_path, kinds=[Kind(name="stuck", run=stuck)], describe=describe, workers=1
    )
    operations.start()
    operation_id = operations.submit("stuck", {}, operation_id=str(uuid4()))
    wait_for(operations, operation_id, State.RUNNING)
    operations.stop()
    release.set()
    wait_for(operations, operation_id, State.DONE)
    wait_until(lambda: not any(thread.name.startswith("tasks-") for thread in threading.enumerate()))
