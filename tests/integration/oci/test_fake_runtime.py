# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The fake runtime behind the real monitor: what tests of everything above may rely on without a real runtime."""

import queue
import signal
from collections.abc import Hashable, Iterator
from pathlib import Path

import pytest

from covirt.oci.monitor import STDOUT_MARK, ConmonMonitor, MonitorPaths, attach, log_tail, read_end
from covirt.oci.processes import ExitWatcher
from covirt.oci.runtimes.command_line import CommandLineRuntime
from covirt.oci.runtimes.errors import CreateFailed
from covirt.oci.runtimes.fake import FAKE_RUNTIME, FakeSupervisor
from tests.support.bundles import make_bundle, shell


@pytest.fixture
def watcher() -> Iterator[ExitWatcher]:
    watcher = ExitWatcher()
    watcher.start()
    yield watcher
    watcher.stop()


def test_a_whole_life(open_dir: Path, watcher: ExitWatcher) -> None:
    runtime = CommandLineRuntime(FAKE_RUNTIME, state_dir=open_dir / "state")
    cgroup = FakeSupervisor().prepare("one")
    bundle = make_bundle(open_dir / "bundle", shell("echo hello; read code; exit $code"), cgroups_path="/unused")
    paths = MonitorPaths(directory=open_dir / "monitor", bundle=bundle, log=open_dir / "log")
    made = ConmonMonitor().create(runtime=runtime, container_id="one", paths=paths, terminal=False, cgroup=cgroup)
    ends: queue.Queue[Hashable] = queue.Queue()
    watcher.watch("one", made.monitor, ends.put)
    with attach(paths) as console:
        runtime.start("one")
        assert console.recv(8193) == bytes([STDOUT_MARK]) + b"hello\n"
        console.send(b"9\n")
    assert ends.get(timeout=60) == "one"
    assert read_end(paths, made.container).status == 9
    assert [line.text for line in log_tail(paths, 5)] == ["hello"]
    runtime.delete("one")


def test_a_terminal(open_dir: Path, watcher: ExitWatcher) -> None:
    runtime = CommandLineRuntime(FAKE_RUNTIME, state_dir=open_dir / "state")
    bundle = make_bundle(open_dir / "bundle", shell("busybox tty; sleep 1000"), cgroups_path="/unused", terminal=True)
    paths = MonitorPaths(directory=open_dir / "monitor", bundle=bundle, log=open_dir / "log")
    cgroup = FakeSupervisor().prepare("one")
    made = ConmonMonitor().create(runtime=runtime, container_id="one", paths=paths, terminal=True, cgroup=cgroup)
    ends: queue.Queue[Hashable] = queue.Queue()
    watcher.watch("one", made.monitor, ends.put)
    with attach(paths) as console:
        runtime.start("one")
        assert b"/dev/pts/" in console.recv(8193)
    runtime.kill("one", signal.SIGKILL, all_processes=True)
    assert ends.get(timeout=60) == "one"
    assert read_end(paths, made.container).status == 128 + signal.SIGKILL
    runtime.delete("one")


def test_a_failing_create(open_dir: Path) -> None:
    runtime = CommandLineRuntime(FAKE_RUNTIME, state_dir=open_dir / "state")
    bundle = make_bundle(open_dir / "bundle", ("/bin/absent",), cgroups_path="/unused")
    paths = MonitorPaths(directory=open_dir / "monitor", bundle=bundle, log=open_dir / "log")
    with pytest.raises(CreateFailed, match="'/bin/absent': no such file or directory"):
        ConmonMonitor().create(
            runtime=runtime,
            container_id="one",
            paths=paths,
            terminal=False,
            cgroup=FakeSupervisor().prepare("one"),
        )
    assert runtime.list() == ()
