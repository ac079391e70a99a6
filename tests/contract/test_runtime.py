# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What every container runtime does alike, seen through the one protocol: the fake, runc and crun."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from covirt.common.process_identity import ProcessIdentity, alive, open_pidfd
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.runtime import ContainerStatus, Runtime, RuntimeConfig
from covirt.oci.runtimes.command_line import CommandLineRuntime
from covirt.oci.runtimes.errors import (
    ContainerExists,
    ContainerInWrongState,
    ContainerMissing,
    CreateFailed,
    OperationUnsupported,
)
from covirt.oci.runtimes.fake import FAKE_RUNTIME, FakeSupervisor
from covirt.oci.supervisor import PlainSupervisor, RunCgroup
from tests.support.bundles import make_bundle

FOREVER = ("/bin/busybox", "sleep", "1000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A runtime under test with a place to put containers."""

    runtime: Runtime
    directory: Path
    cgroup: RunCgroup

    def create(self, container_id: str = "one", arguments: tuple[str, ...] = FOREVER) -> ProcessIdentity:
        bundle = make_bundle(
            self.directory / container_id, arguments, cgroups_path=f"{self.cgroup.path}/{container_id}"
        )
        pid_file = self.directory / f"{container_id}.pid"
        self.runtime.create(container_id, bundle=bundle, pid_file=pid_file)
        return ProcessIdentity.of(int(pid_file.read_text()))

    def run(self, container_id: str = "one", arguments: tuple[str, ...] = FOREVER) -> ProcessIdentity:
        process = self.create(container_id, arguments)
        self.runtime.start(container_id)
        return process


@pytest.fixture(
    params=[
        "fake",
        pytest.param("runc", marks=[pytest.mark.runc, pytest.mark.root]),
        pytest.param("crun", marks=[pytest.mark.crun, pytest.mark.root]),
    ]
)
def subject(request: pytest.FixtureRequest, open_dir: Path) -> Iterator[Subject]:
    name: str = request.param
    config = FAKE_RUNTIME if name == "fake" else RuntimeConfig(name=name, path=name)
    runtime = CommandLineRuntime(config, state_dir=open_dir / "state" / name)
    if name == "fake":
        yield Subject(runtime=runtime, directory=open_dir, cgroup=FakeSupervisor().prepare("contract"))
        _delete_all(runtime)
        return
    supervisor = PlainSupervisor("contra", CgroupLayout.detect())
    yield Subject(runtime=runtime, directory=open_dir, cgroup=supervisor.prepare("contract"))
    _delete_all(runtime)
    supervisor.remove()


def _delete_all(runtime: Runtime) -> None:
    for state in runtime.list():
        runtime.delete(state.container_id, force=True)


def wait_for_end(process: ProcessIdentity) -> None:
    descriptor = open_pidfd(process.pid, process.start_time)
    if descriptor is not None:
        try:
            readable, _, _ = select.select([descriptor], [], [], 60)
            assert readable, f"{process} did not end"
        finally:
            os.close(descriptor)


def test_probe_finds_it_usable(subject: Subject) -> None:
    info = subject.runtime.probe()
    assert info.usable, info.reason
    assert info.version is not None
    assert info.version[0].isdigit()
    assert info.reason is None


def test_a_container_lives_from_create_to_delete(subject: Subject) -> None:
    process = subject.create()
    created = subject.runtime.state("one")
    assert created.status is ContainerStatus.CREATED
    assert created.pid == process.pid
    assert created.bundle == subject.directory / "one"

    subject.runtime.start("one")
    assert subject.runtime.state("one").status is ContainerStatus.RUNNING

    subject.runtime.kill("one", signal.SIGKILL)
    wait_for_end(process)
    stopped = subject.runtime.state("one")
    assert stopped.status is ContainerStatus.STOPPED
    assert stopped.pid is None

    subject.runtime.delete("one")
    assert subject.runtime.list() == ()


def test_nothing_of_the_command_runs_before_start(subject: Subject) -> None:
    marker = subject.directory / "one/rootfs/tmp/ran"
    process = subject.create(arguments=("/bin/busybox", "touch", "tmp/ran"))
    assert not marker.exists()
    subject.runtime.start("one")
    wait_for_end(process)
    assert marker.exists()


def test_list_names_every_container(subject: Subject) -> None:
    subject.create("one")
    subject.run("two")
    found = {state.container_id: state.status for state in subject.runtime.list()}
    assert found == {"one": ContainerStatus.CREATED, "two": ContainerStatus.RUNNING}


def test_containers_do_not_share_their_end(subject: Subject) -> None:
    first, second = subject.run("one"), subject.run("two")
    subject.runtime.delete("one", force=True)
    wait_for_end(first)
    assert alive(second.pid, second.start_time)


def test_pause_and_resume(subject: Subject) -> None:
    subject.run()
    subject.runtime.pause("one")
    assert subject.runtime.state("one").status is ContainerStatus.PAUSED
    subject.runtime.resume("one")
    assert subject.runtime.state("one").status is ContainerStatus.RUNNING


def test_update_accepts_limits(subject: Subject) -> None:
    subject.run()
    subject.runtime.update("one", {"memory": {"limit": 64 << 20}, "pids": {"limit": 50}})
    subject.runtime.update("one", {"memory": {"limit": 128 << 20}})


def test_create_says_what_the_runtime_says(subject: Subject) -> None:
    with pytest.raises(CreateFailed, match=r"no such file or directory|No such file or directory"):
        subject.create(arguments=("/bin/absent",))
    assert subject.runtime.list() == ()


def test_an_id_is_taken_once(subject: Subject) -> None:
    subject.create()
    with pytest.raises(ContainerExists):
        subject.create()


Operation = Callable[[Runtime], object]


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(lambda runtime: runtime.start("absent"), id="start"),
        pytest.param(lambda runtime: runtime.kill("absent", signal.SIGTERM), id="kill"),
        pytest.param(lambda runtime: runtime.state("absent"), id="state"),
        pytest.param(lambda runtime: runtime.pause("absent"), id="pause"),
        pytest.param(lambda runtime: runtime.delete("absent"), id="delete"),
        pytest.param(lambda runtime: runtime.update("absent", {}), id="update"),
    ],
)
def test_an_absent_container_is_missing(subject: Subject, operation: Operation) -> None:
    with pytest.raises(ContainerMissing):
        operation(subject.runtime)


def test_delete_by_force_is_content_with_absence(subject: Subject) -> None:
    subject.runtime.delete("absent", force=True)


def test_an_operation_out_of_turn_is_refused_with_the_state(subject: Subject) -> None:
    process = subject.run()
    with pytest.raises(ContainerInWrongState, match="running"):
        subject.runtime.start("one")
    with pytest.raises(ContainerInWrongState, match="running"):
        subject.runtime.delete("one")
    subject.runtime.kill("one", signal.SIGKILL)
    wait_for_end(process)
    with pytest.raises(ContainerInWrongState, match="stopped"):
        subject.runtime.kill("one", signal.SIGTERM)


def test_events_are_told_or_refused(subject: Subject) -> None:
    subject.run()
    if "events" in subject.runtime.probe().features:
        assert subject.runtime.events("one")
    else:
        with pytest.raises(OperationUnsupported):
            subject.runtime.events("one")
