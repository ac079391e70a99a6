# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Processes started inside a running container, by the fake runtime, runc and crun."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.process import CommandTimeout
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.execution import ExecEnd, ExecRequest, ExecTarget, Execution, Executor, end_left_over
from covirt.oci.execution_capture import capture
from covirt.oci.execution_errors import (
    BadExecRequest,
    CommandNotExecutable,
    CommandNotFound,
    ContainerConfigUnreadable,
    TooManyExecutions,
    WithoutTerminal,
    WorkingDirectoryUnusable,
)
from covirt.oci.isolation_errors import NoSuchUser
from covirt.oci.runtime import ContainerStatus, RuntimeConfig, TerminalSize
from covirt.oci.runtimes.command_line import CommandLineRuntime
from covirt.oci.runtimes.errors import ContainerInWrongState, ContainerMissing
from covirt.oci.runtimes.fake import FAKE_RUNTIME, FakeSupervisor
from covirt.oci.supervisor import PlainSupervisor
from tests.support.bundles import make_bundle, shell
from tests.support.waiting import wait_until

SECONDS = 60.0
_INIT = shell("trap 'exit 0' TERM; while :; do busybox sleep 1000 & wait; done")


class Box:
    """One running container, and what is started in it."""

    def __init__(self, name: str, directory: Path, cgroup: str) -> None:
        config = FAKE_RUNTIME if name == "fake" else RuntimeConfig(name=name, path=name)
        self.name = name
        self.runtime = CommandLineRuntime(config, state_dir=directory / "state" / name)
        self.rootfs = directory / "one/rootfs"
        self.target = ExecTarget(
            runtime=self.runtime, container_id="one", bundle=directory / "one", directory=directory / "exec"
        )
        self.executor = Executor(per_container=3, in_all=4)
        bundle = make_bundle(directory / "one", _INIT, cgroups_path=cgroup)
        _limit(bundle / "config.json")
        (self.rootfs / "etc").mkdir()
        (self.rootfs / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nsmith:x:12:34::/tmp:/bin/sh\n")
        (self.rootfs / "etc/plain").write_text("not a program\n")
        self.runtime.create("one", bundle=bundle, pid_file=directory / "one.pid")
        self.pid = int((directory / "one.pid").read_text())
        self.runtime.start("one")

    @property
    def isolated(self) -> bool:
        return self.name != "fake"

    def start(self, *arguments: str, **more: object) -> Execution:
        return self.executor.start(self.target, ExecRequest(arguments=arguments, **more))  # type: ignore[arg-type]

    def tell(self, script: str, **more: object) -> str:
        """Run a script to its end; what it wrote."""
        execution = self.start(*shell(script), **more)
        try:
            text = read_all(execution.stdout)
            end = execution.wait(timeout_seconds=SECONDS)
            assert end == ExecEnd(exit_code=0), (end, text, execution.stderr >= 0 and read_all(execution.stderr))
            return text.decode()
        finally:
            execution.close()


def _limit(path: Path) -> None:
    """Rights and limits that no process has by chance."""
    config = json.loads(path.read_text())
    names = ["CAP_NET_BIND_SERVICE"]
    config["process"] |= {
        "noNewPrivileges": True,
        "capabilities": {"bounding": names, "effective": names, "permitted": names},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 123, "hard": 456}],
        "oomScoreAdj": 77,
    }
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    path.write_text(json.dumps(config))


def read_all(descriptor: int) -> bytes:
    data = b""
    while True:
        try:
            more = os.read(descriptor, 65536)
        except OSError:  # a terminal whose last user is gone
            return data
        if not more:
            return data
        data += more


@pytest.fixture(
    params=[
        "fake",
        pytest.param("runc", marks=[pytest.mark.runc, pytest.mark.root]),
        pytest.param("crun", marks=[pytest.mark.crun, pytest.mark.root]),
    ]
)
def box(request: pytest.FixtureRequest, open_dir: Path) -> Iterator[Box]:
    name: str = request.param
    supervisor = PlainSupervisor("inside", CgroupLayout.detect()) if name != "fake" else None
    group = (supervisor or FakeSupervisor()).prepare("contract")
    made = Box(name, open_dir, f"{group.path}/one")
    yield made
    made.executor.close()
    made.runtime.delete("one", force=True)
    if supervisor is not None:
        supervisor.remove()


def test_streams_and_exit_code(box: Box) -> None:
    execution = box.start(*shell("read line; echo got $line; echo wrong >&2; exit 3"))
    os.write(execution.stdin, b"words\n")
    assert read_all(execution.stdout) == b"got words\n"
    assert read_all(execution.stderr) == b"wrong\n"
    assert execution.wait(timeout_seconds=SECONDS) == ExecEnd(exit_code=3)
    assert execution.end == ExecEnd(exit_code=3)
    execution.close()
    wait_until(lambda: not list(box.target.directory.iterdir()), what="nothing written down")


def test_end_of_input(box: Box) -> None:
    execution = box.start("/bin/busybox", "cat")
    os.write(execution.stdin, bytes(range(256)))
    execution.close_stdin()
    assert read_all(execution.stdout) == bytes(range(256))
    assert execution.wait(timeout_seconds=SECONDS) == ExecEnd(exit_code=0)
    execution.close()


def test_capture(box: Box) -> None:
    words = b"some input\n" * 20_000
    # One that goes on in the background and holds the pipes ends with its container, which the fake has not.
    script = "busybox sleep 1000 & " if box.isolated else ""
    script += "busybox cat; busybox yes | busybox head -c 300000 >&2; exit 4"
    captured = capture(box.start(*shell(script)), timeout_seconds=SECONDS, stdin_data=words, limit_bytes=250_000)
    assert (captured.end, captured.stdout, captured.truncated) == (ExecEnd(exit_code=4), words, True)
    assert captured.stderr == b"y\n" * 125_000


def test_capture_takes_no_longer_than_allowed(box: Box) -> None:
    captured = capture(box.start(*shell("echo begun; exec busybox sleep 1000")), timeout_seconds=0.5)
    assert (captured.end, captured.stdout, captured.stderr) == (None, b"begun\n", b"")


def test_signal(box: Box) -> None:
    execution = box.start(*shell("kill -TERM $$"))
    assert execution.wait(timeout_seconds=SECONDS) == ExecEnd(signal=signal.SIGTERM)
    execution.close()


def test_callback_before_and_after_the_end(box: Box) -> None:
    ends: list[ExecEnd] = []
    execution = box.start(*shell("read line; exit 7"))
    execution.on_end(ends.append)
    assert ends == []
    execution.close_stdin()
    wait_until(lambda: ends == [ExecEnd(exit_code=7)])
    execution.on_end(ends.append)
    assert len(ends) == 2
    execution.close()


def test_environment_and_directory(box: Box) -> None:
    execution_environment = (("COLOUR", "blue = dark"), ("HOME", "/tmp"))
    told = box.tell('echo "$COLOUR,$HOME,$PATH,$(pwd)"', environment=execution_environment, working_directory="/tmp")
    assert told.startswith("blue = dark,/tmp,/bin,")
    assert told.rstrip().endswith("/tmp")


def test_terminal(box: Box) -> None:
    execution = box.start(*shell("tty; stty size; read line; stty size"), terminal=TerminalSize(rows=33, columns=99))
    seen = b""
    while b"33 99" not in seen:
        seen += os.read(execution.stdout, 4096)
    assert b"/dev/" in seen
    execution.resize(TerminalSize(rows=44, columns=111))
    os.write(execution.stdin, b"\n")
    assert b"44 111" in read_all(execution.stdout)
    assert execution.wait(timeout_seconds=SECONDS) == ExecEnd(exit_code=0)
    execution.close()


def test_no_size_without_terminal(box: Box) -> None:
    execution = box.start("/bin/busybox", "sleep", "1000")
    with pytest.raises(WithoutTerminal):
        execution.resize(TerminalSize())
    execution.close()
    assert execution.wait(timeout_seconds=SECONDS) == ExecEnd(signal=signal.SIGKILL)


def test_kill_reaches_children(box: Box) -> None:
    """Also those that changed their parent or their session, and then the pipes are closed."""
    execution = box.start(
        *shell("busybox setsid busybox sleep 1000 & (busybox sleep 1000 &) ; echo go; exec busybox sleep 1000")
    )
    assert os.read(execution.stdout, 100) == b"go\n"
    execution.kill()
    assert execution.wait(timeout_seconds=SECONDS) == ExecEnd(signal=signal.SIGKILL)
    assert read_all(execution.stdout) == b""
    execution.close()


@pytest.mark.parametrize(
    ("arguments", "more", "error", "words"),
    [
        (("nosuch",), {}, CommandNotFound, "no program 'nosuch'"),
        (("/bin/nosuch",), {}, CommandNotFound, "no program '/bin/nosuch'"),
        (("/etc/plain",), {}, CommandNotExecutable, "'/etc/plain' cannot be executed"),
        (("/bin/busybox", "true"), {"working_directory": "/nowhere"}, WorkingDirectoryUnusable, "/nowhere"),
        (("/bin/busybox", "true"), {"working_directory": "tmp"}, BadExecRequest, "no absolute path"),
        (("/bin/busybox", "true"), {"user": "nobody-here"}, NoSuchUser, "nobody-here"),
        (("/bin/busybox", "tr\0e"), {}, BadExecRequest, "zero byte"),
        (("/bin/busybox",), {"environment": (("A=B", "c"),)}, BadExecRequest, "no name"),
        ((), {}, BadExecRequest, "empty"),
    ],
)
def test_refusals(
    box: Box, arguments: tuple[str, ...], more: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        box.start(*arguments, **more)
    assert not box.target.directory.exists() or not list(box.target.directory.iterdir())


def test_limits(box: Box) -> None:
    running = [box.start("/bin/busybox", "cat") for _ in range(3)]
    with pytest.raises(TooManyExecutions, match=r"3 processes .* exec\.per_container"):
        box.start("/bin/busybox", "true")
    check = box.executor.start(box.target, ExecRequest(arguments=shell("exit 0")), counted=False)
    assert check.wait(timeout_seconds=SECONDS) == ExecEnd(exit_code=0)
    check.close()
    running[0].close()
    assert running[0].wait(timeout_seconds=SECONDS) is not None
    assert box.tell("echo room") == "room\n"
    for each in running:
        each.close()


@pytest.mark.parametrize("which", ["helper", "executor"])
def test_nothing_is_left_when_the_helper_goes(box: Box, which: str) -> None:
    """It is how the end of a killed daemon looks from the helper, and how a killed helper looks from the daemon."""
    execution = box.start(*shell("trap '' HUP; (busybox sleep 1000 &); echo go; wait; busybox sleep 1000"))
    assert os.read(execution.stdout, 100) == b"go\n"
    if which == "executor":
        box.executor.close()
    else:
        helper = int(Path(f"/proc/{execution.pid}/stat").read_text().rpartition(") ")[2].split()[1])
        os.kill(helper, signal.SIGKILL)
    end = execution.wait(timeout_seconds=SECONDS)
    assert end in (ExecEnd(), ExecEnd(signal=signal.SIGKILL))
    assert read_all(execution.stdout) == b""  # nobody holds it any more
    execution.close()
    if which == "helper":
        assert box.tell("echo next") == "next\n"


def test_a_successor_ends_what_is_left_over(box: Box) -> None:
    if not box.isolated:
        pytest.skip("fake differs, it has no namespaces to tell a process by")
    execution = box.start("/bin/busybox", "sleep", "1000")
    inside = [pid for pid in map(int, box.tell("busybox pidof busybox").split()) if pid != 1]
    assert inside
    left = box.target.directory.with_name("left")
    shutil.copytree(box.target.directory, left)
    (left / "stale").mkdir()
    (left / "stale/pid").write_text(str(os.getpid()))  # used again by a process that is none of ours
    end_left_over(left, first_pid=box.pid)
    assert execution.wait(timeout_seconds=SECONDS) == ExecEnd(signal=signal.SIGKILL)
    assert not left.exists()
    end_left_over(left, first_pid=box.pid)
    assert box.runtime.state("one").status is ContainerStatus.RUNNING
    execution.close()


def test_same_rights_and_limits_as_the_container(box: Box) -> None:
    if not box.isolated:
        pytest.skip("fake differs, it limits nothing")
    keys = "'^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)'"
    of_first = box.tell(f"busybox grep -E {keys} /proc/1/status; busybox grep -v files /proc/1/limits")
    of_ours = box.tell(f"busybox grep -E {keys} /proc/self/status; busybox grep -v files /proc/self/limits")
    assert of_ours == of_first
    # runc before 1.1.13 raises the soft limit of files to the hard one (its issue 4195).
    assert box.tell("ulimit -H -n") == "456\n"
    assert "Seccomp:\t2" in of_ours
    assert "NoNewPrivs:\t1" in of_ours
    assert "CapEff:\t0000000000000400" in of_ours
    execution = box.start("/bin/busybox", "cat")
    assert Path(f"/proc/{execution.pid}/cgroup").read_text() == Path(f"/proc/{box.pid}/cgroup").read_text()
    # The system call filter is the container's own, which lets nobody make directories here.
    denied = box.start(*shell("busybox mkdir /tmp/x"))
    assert b"Operation not permitted" in read_all(denied.stderr)
    denied.close()
    execution.close()


def test_another_user(box: Box) -> None:
    if not box.isolated:
        pytest.skip("fake differs, it changes no user")
    assert box.tell("echo $(busybox id -u) $(busybox id -g) $HOME", user="smith") == "12 34 /tmp\n"
    assert box.tell("echo $(busybox id -u) $(busybox id -g)", user="7:8") == "7 8\n"


def test_a_container_that_is_not_there(box: Box) -> None:
    target = ExecTarget(
        runtime=box.runtime, container_id="two", bundle=box.target.bundle, directory=box.target.directory
    )
    with pytest.raises(ContainerMissing):
        box.executor.start(target, ExecRequest(arguments=shell("true")))
    nowhere = ExecTarget(
        runtime=box.runtime, container_id="two", bundle=box.target.directory, directory=box.target.directory
    )
    with pytest.raises(ContainerConfigUnreadable):
        box.executor.start(nowhere, ExecRequest(arguments=shell("true")))


def test_the_container_ends_under_it(box: Box) -> None:
    execution = box.start("/bin/busybox", "cat")
    box.runtime.kill("one", signal.SIGKILL, all_processes=True)
    if box.isolated:
        assert execution.wait(timeout_seconds=SECONDS) == ExecEnd(signal=signal.SIGKILL)
        with pytest.raises((ContainerInWrongState, ContainerMissing)):
            box.start(*shell("true"))
    execution.close()


def test_a_runtime_that_hangs_is_ended(box: Box) -> None:
    if not box.isolated:
        pytest.skip("fake differs, it refuses what is paused")
    box.runtime.pause("one")
    try:
        # runc refuses; crun waits for the frozen cgroup
        with pytest.raises((CommandTimeout, ContainerInWrongState)):
            box.executor.start(box.target, ExecRequest(arguments=shell("true")), timeout_seconds=1.0)
    finally:
        box.runtime.resume("one")
    assert box.tell("echo again") == "again\n"
