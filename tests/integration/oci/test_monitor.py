# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""conmon in front of real containers: what it reports, what it passes on, and what outlives what."""

import os
import re
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.process_identity import alive
from covirt.oci.cgroup import CgroupReader
from covirt.oci.monitor import STDERR_MARK, STDOUT_MARK, attach, exit_status, log_tail, resize, rotate_log
from covirt.oci.runtime import ContainerStatus
from covirt.oci.runtimes.errors import CreateFailed, MonitorUnreachable
from tests.support.bundles import shell
from tests.support.containers import Containers, containers
from tests.support.waiting import wait_until

FOREVER = ("/bin/busybox", "sleep", "1000")
RUNTIMES = [pytest.param("runc", marks=pytest.mark.runc), pytest.param("crun", marks=pytest.mark.crun)]


@pytest.fixture(params=RUNTIMES)
def made(request: pytest.FixtureRequest, open_dir: Path) -> Iterator[Containers]:
    with containers(request.param, open_dir, slice_name="covirt-monitor-test") as made:
        yield made


class Console:
    """A client of an attach socket."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.client.settimeout(30)
        self.seen = {STDOUT_MARK: b"", STDERR_MARK: b""}

    def send(self, data: bytes) -> None:
        self.client.send(data)

    def read_until(self, text: bytes, *, stream: int = STDOUT_MARK) -> bytes:
        while text not in self.seen[stream]:
            packet = self.client.recv(16384)
            assert packet, f"the console closed; it said {self.seen}"
            self.seen[packet[0]] += packet[1:]
        return self.seen[stream]


@pytest.mark.parametrize("code", [0, 7, 137])
def test_the_exit_code_is_recorded(made: Containers, code: int) -> None:
    end = made.wait(made.start("one", shell(f"exit {code}")))
    assert end.status == code
    assert not end.supervisor_lost
    assert not end.container_alive
    assert not end.oom_mark


def test_a_signal_is_recorded_as_the_shell_does(made: Containers) -> None:
    run = made.start("one", shell("trap 'exit 9' HUP; kill -TERM $$; while :; do sleep 1; done"))
    # The first process of a pid namespace ignores what it does not handle, except from outside.
    made.runtime.kill("one", signal.SIGKILL)
    assert made.wait(run).status == 128 + signal.SIGKILL


def test_a_handled_signal_gives_the_handlers_code(made: Containers) -> None:
    run = made.start("one", shell("trap 'exit 9' HUP; echo ready; while :; do sleep 0.1; done"))
    wait_until(lambda: bool(log_tail(run.paths, 1)), what="the container is ready")
    made.runtime.kill("one", signal.SIGHUP)
    assert made.wait(run).status == 9


def test_an_out_of_memory_kill_is_seen(made: Containers) -> None:
    run = made.start(
        "one",
        ("/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"),
        resources={"memory": {"limit": 64 << 20, "swap": 64 << 20}},
    )
    assert made.wait(run).status == 128 + signal.SIGKILL
    reader = CgroupReader(made.supervisor.layout)
    kills = reader.oom_kills(run.cgroup.container_path)
    assert kills is not None
    assert kills >= 1


def test_the_log_keeps_both_streams(made: Containers) -> None:
    run = made.start("one", shell("echo out; echo err >&2"))
    made.wait(run)
    lines = {(line.stream, line.text) for line in log_tail(run.paths, 10)}
    assert lines == {("stdout", "out"), ("stderr", "err")}


def _has_text(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def test_nothing_is_lost_when_the_log_is_rotated(made: Containers) -> None:
    script = "i=0; while [ $i -lt 2001 ]; do echo line $i; i=$((i+1)); [ $((i%100)) = 0 ] && sleep 0.02; done; true"
    run = made.start("one", shell(script))
    rotations = 0
    while made.no_end_seen():
        if not _has_text(run.paths.log):
            continue  # empty ones would push those with lines out of the number that is kept
        try:
            rotations += rotate_log(run.paths, keep=2001)
        except MonitorUnreachable:
            break
    made.wait(run)
    assert rotations > 1
    text = b"".join(path.read_bytes() for path in run.paths.log.parent.glob("log*"))
    numbers = sorted(int(match) for match in re.findall(rb" F line (\d+)", text))
    assert numbers == list(range(2001))


def test_rotation_keeps_as_many_as_asked(made: Containers) -> None:
    run = made.start("one", shell("while :; do echo tick; sleep 0.02; done"))
    directory = run.paths.log.parent
    for _ in range(4):
        wait_until(lambda: run.paths.log.exists() and run.paths.log.stat().st_size > 0, what="a new log")
        assert rotate_log(run.paths, keep=2)
    assert {path.name for path in directory.glob("log.*")} >= {"log.1", "log.2"}
    assert not (directory / "log.3").exists()
    made.runtime.kill("one", signal.SIGKILL)
    made.wait(run)


def test_a_console_without_terminal(made: Containers) -> None:
    run = made.start("one", shell("while read line; do echo got $line; echo bad $line >&2; done"))
    with attach(run.paths) as client:
        console = Console(client)
        console.send(b"first\n")
        console.read_until(b"got first\n")
        console.read_until(b"bad first\n", stream=STDERR_MARK)
    with attach(run.paths) as client:  # stdin stays open between clients
        console = Console(client)
        console.send(b"second\n")
        console.read_until(b"got second\n")
    made.runtime.kill("one", signal.SIGKILL)
    made.wait(run)


def test_a_console_with_terminal_and_its_size(made: Containers) -> None:
    run = made.start("one", ("/bin/busybox", "sh", "-i"), terminal=True)
    with attach(run.paths) as client:
        console = Console(client)
        resize(run.paths, rows=33, columns=111)
        console.send(b"busybox tty; busybox stty size\n")
        console.read_until(b"/dev/")
        console.read_until(b"33 111\r\n")
        console.send(b"exit 5\n")
    assert made.wait(run).status == 5


def test_two_clients_see_the_same(made: Containers) -> None:
    run = made.start("one", shell("while read line; do echo got $line; done"))
    with attach(run.paths) as first, attach(run.paths) as second:
        one, two = Console(first), Console(second)
        one.send(b"x\n")
        one.read_until(b"got x\n")
        two.send(b"y\n")
        assert two.read_until(b"got y\n").endswith(b"got y\n")
        one.read_until(b"got y\n")
    made.runtime.kill("one", signal.SIGKILL)
    made.wait(run)


def test_a_lost_monitor_is_told_from_an_end(made: Containers) -> None:
    run = made.start("one", FOREVER)
    os.kill(run.processes.monitor.pid, signal.SIGKILL)
    end = made.wait(run)
    assert end.supervisor_lost
    assert end.status is None
    assert end.container_alive
    made.runtime.kill("one", signal.SIGKILL)
    container = run.processes.container
    wait_until(lambda: not alive(container.pid, container.start_time), what="the container has ended")
    assert exit_status(run.paths) is None


def test_a_lost_monitor_does_not_answer(made: Containers) -> None:
    run = made.start("one", FOREVER)
    os.kill(run.processes.monitor.pid, signal.SIGKILL)
    made.wait(run)
    with pytest.raises(MonitorUnreachable):
        attach(run.paths)
    with pytest.raises(MonitorUnreachable):
        resize(run.paths, rows=1, columns=1)
    with pytest.raises(MonitorUnreachable):
        rotate_log(run.paths)
    assert run.paths.log.exists()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_failing_create_says_why_and_leaves_nothing(made: Containers, terminal: bool) -> None:
    with pytest.raises(CreateFailed, match=r"(?i)/bin/absent.*no such file or directory"):
        made.create("one", ("/bin/absent",), terminal=terminal)
    assert made.runtime.list() == ()
    assert made.supervisor.adopt("one").processes() == frozenset()
    assert not list(made.paths("one").bundle.glob("conmon-term*"))


def test_a_refused_limit_is_the_runtimes_own_error(made: Containers) -> None:
    with pytest.raises(CreateFailed) as caught:
        made.create("one", FOREVER, resources={"cpu": {"cpus": "900"}})
    assert "cpuset" in str(caught.value)


def test_conmon_is_nobodys_child_and_holds_nothing_of_ours(made: Containers) -> None:
    held_read, held_write = os.pipe()
    os.set_inheritable(held_write, True)
    try:
        run = made.start("one", FOREVER)
        pid = run.processes.monitor.pid
        status = Path(f"/proc/{pid}/status").read_text()
        assert f"PPid:\t{os.getpid()}\n" not in status
        # Nobody but this process holds the other end any more: it is ours to close, and then the pipe has ended.
        os.close(held_write)
        held_write = -1
        assert select.select([held_read], [], [], 30)[0]
        assert os.getsid(pid) == pid
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    finally:
        os.close(held_read)
        if held_write >= 0:
            os.close(held_write)
    made.runtime.kill("one", signal.SIGKILL)
    made.wait(run)


def test_conmon_is_in_its_leaf_and_the_container_in_the_other(made: Containers) -> None:
    run = made.start("one", FOREVER)
    monitor = Path(f"/proc/{run.processes.monitor.pid}/cgroup").read_text()
    container = Path(f"/proc/{run.processes.container.pid}/cgroup").read_text()
    for controller in ("memory", "pids", "cpu", "freezer"):
        if controller in made.supervisor.layout.hierarchies:
            assert re.search(rf"\b{controller}\b[^:]*:{run.cgroup.supervisor_path}\n", monitor)
            assert re.search(rf"\b{controller}\b[^:]*:{run.cgroup.container_path}\n", container)
    made.runtime.kill("one", signal.SIGKILL)
    made.wait(run)


def test_two_containers_end_one_by_one(made: Containers) -> None:
    first, second = made.start("one", FOREVER), made.start("two", FOREVER)
    made.runtime.kill("one", signal.SIGKILL)
    made.wait(first)
    assert made.runtime.state("two").status is ContainerStatus.RUNNING
    made.runtime.kill("two", signal.SIGKILL)
    made.wait(second)


def test_a_root_with_a_long_path(request: pytest.FixtureRequest, open_dir: Path) -> None:
    deep = open_dir / ("d" * 100) / ("e" * 100)
    for directory in (deep.parent, deep):
        directory.mkdir(mode=0o711)
    with containers("runc", deep, slice_name="covirt-long-test") as made:
        run = made.start("one", ("/bin/busybox", "sh", "-i"), terminal=True)
        with attach(run.paths) as client:
            console = Console(client)
            console.send(b"echo $((40+2))\n")
            console.read_until(b"42\r\n")
            console.send(b"exit\n")
        assert made.wait(run).status == 0
