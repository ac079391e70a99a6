# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What virtocid may rely on from any monitor: conmon, and the program that stands for it, before a fake runtime."""

import os
import queue
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from covirt.common.process_identity import alive
from covirt.oci.fake import fake_monitor
from covirt.oci.isolation_errors import NoSuchBridge
from covirt.oci.monitor import ConmonMonitor, Monitor, MonitoredContainer, MonitorPaths, RunEnd, log_tail, read_end
from covirt.oci.processes import ExitWatcher
from covirt.oci.runtime import ContainerStatus
from covirt.oci.runtimes.command_line import CommandLineRuntime
from covirt.oci.runtimes.errors import CreateFailed
from covirt.oci.runtimes.fake import FAKE_RUNTIME, FakeSupervisor
from tests.support.bundles import make_bundle, shell
from tests.support.waiting import wait_until

FOREVER = shell("exec busybox sleep 1000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A monitor under test, and one container with the name "one"."""

    monitor: Monitor
    runtime: CommandLineRuntime
    watcher: ExitWatcher
    paths: MonitorPaths

    def create(self, arguments: tuple[str, ...]) -> MonitoredContainer:
        make_bundle(self.paths.bundle, arguments, cgroups_path="/unused")
        return self.monitor.create(
            runtime=self.runtime,
            container_id="one",
            paths=self.paths,
            terminal=False,
            cgroup=FakeSupervisor().prepare("one"),
        )

    def start(self, script: str) -> MonitoredContainer:
        made = self.create(shell(script))
        self.runtime.start("one")
        return made

    def wait(self, made: MonitoredContainer) -> RunEnd:
        ends: queue.Queue[object] = queue.Queue()
        self.watcher.watch("one", made.monitor, ends.put)
        assert ends.get(timeout=60) == "one"
        return read_end(self.paths, made.container)

    @property
    def lines(self) -> set[tuple[str, str]]:
        return {(line.stream, line.text) for line in log_tail(self.paths, 100)}


@pytest.fixture(params=["fake", "conmon"])
def subject(request: pytest.FixtureRequest, open_dir: Path) -> Iterator[Subject]:
    watcher = ExitWatcher()
    watcher.start()
    runtime = CommandLineRuntime(FAKE_RUNTIME, state_dir=open_dir / "state")
    paths = MonitorPaths(directory=open_dir / "monitor", bundle=open_dir / "bundle", log=open_dir / "log")
    monitor = fake_monitor() if request.param == "fake" else ConmonMonitor()
    yield Subject(monitor=monitor, runtime=runtime, watcher=watcher, paths=paths)
    watcher.stop()
    for state in runtime.list():
        runtime.delete(state.container_id, force=True)


def test_nothing_runs_before_the_start(subject: Subject) -> None:
    made = subject.create(shell("echo ran"))
    assert subject.runtime.state("one").status is ContainerStatus.CREATED
    assert subject.runtime.state("one").pid == made.container.pid
    assert alive(made.monitor.pid, made.monitor.start_time)
    assert subject.lines == set()
    subject.runtime.start("one")
    subject.wait(made)
    assert subject.lines == {("stdout", "ran")}


def test_both_process_ids_are_written_down(subject: Subject) -> None:
    made = subject.create(FOREVER)
    assert int(subject.paths.pid_file.read_text()) == made.container.pid
    assert int(subject.paths.monitor_pid_file.read_text()) == made.monitor.pid


def test_the_monitor_has_left_our_session(subject: Subject) -> None:
    made = subject.create(FOREVER)
    assert os.getsid(made.monitor.pid) == made.monitor.pid


@pytest.mark.parametrize("code", [0, 7, 137])
def test_the_exit_code_is_kept(subject: Subject, code: int) -> None:
    end = subject.wait(subject.start(f"exit {code}"))
    assert end.status == code
    assert not end.supervisor_lost
    assert not end.container_alive


def test_a_signal_is_kept_in_a_shells_form(subject: Subject) -> None:
    made = subject.create(FOREVER)
    subject.runtime.start("one")
    subject.runtime.kill("one", signal.SIGKILL)
    assert subject.wait(made).status == 128 + signal.SIGKILL


def test_the_log_has_both_streams_up_to_the_last_word(subject: Subject) -> None:
    subject.wait(subject.start("echo out; echo err >&2; printf last"))
    assert subject.lines == {("stdout", "out"), ("stderr", "err"), ("stdout", "last")}


def test_a_container_outlives_its_monitor(subject: Subject) -> None:
    made = subject.create(FOREVER)
    subject.runtime.start("one")
    os.kill(made.monitor.pid, signal.SIGKILL)
    end = subject.wait(made)
    assert end.supervisor_lost
    assert end.container_alive
    subject.runtime.delete("one", force=True)
    wait_until(lambda: not alive(made.container.pid, made.container.start_time), what="the container's end")


def test_a_failed_create_says_why_and_leaves_nothing(subject: Subject) -> None:
    with pytest.raises(CreateFailed, match="'/bin/absent': no such file or directory"):
        subject.create(("/bin/absent",))
    assert subject.runtime.list() == ()


def test_a_failure_meanwhile_undoes_the_container(subject: Subject) -> None:
    def fail() -> None:
        raise NoSuchBridge(bridge="br9", bridges="none")

    make_bundle(subject.paths.bundle, FOREVER, cgroups_path="/unused")
    with pytest.raises(NoSuchBridge):
        subject.monitor.create(
            runtime=subject.runtime,
            container_id="one",
            paths=subject.paths,
            terminal=False,
            cgroup=FakeSupervisor().prepare("one"),
            meanwhile=fail,
        )
    assert subject.runtime.list() == ()
    pid = int(subject.paths.pid_file.read_text())  # it was whole before it was undone
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the container's end")


def test_what_an_earlier_run_left_is_not_taken_for_the_present_one(subject: Subject) -> None:
    subject.paths.directory.mkdir()
    subject.paths.exit_file.write_text("3")
    subject.paths.oom_file.touch()
    made = subject.create(FOREVER)
    end = read_end(subject.paths, made.container)
    assert end.status is None
    assert not end.oom_mark
    assert end.container_alive
