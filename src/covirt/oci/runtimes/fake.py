# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A runtime and a supervisor for tests: real processes behind the real driver, but no isolation and no cgroups.

Nothing loads them by default, and a host that is configured with them would run containers as plain processes.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from covirt.common.process import PIPE, Argument, Child, spawn
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.cgroup_tree import SliceResources
from covirt.oci.runtime import RuntimeConfig
from covirt.oci.runtimes import fake_program

# -I -S: no site packages and no environment, for a quick start.
FAKE_RUNTIME: Final = RuntimeConfig(
    name="fake", path=sys.executable, arguments=("-I", "-S", str(Path(fake_program.__file__)))
)


class FakeRunCgroup:
    """A place in no cgroup tree: remembers what was started in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = f"/fake/{name}"
        self.container_path = f"{self.path}/container"
        self.supervisor_path = f"{self.path}/supervisor"
        self._pids: set[int] = set()

    def spawn(
        self,
        argv: Sequence[Argument],
        *,
        environment: Mapping[str, str],
        directory: Argument,
        pass_descriptors: Sequence[int],
    ) -> Child:
        return spawn(
            argv, environment=environment, directory=directory, pass_descriptors=pass_descriptors, stderr=PIPE
        )

    def enter_supervisor(self, pid: int) -> None:
        self._pids.add(pid)

    def spawn_helper(self, start: Callable[[], Child]) -> Child:
        child = start()
        self._pids.add(child.pid)
        return child

    def helpers(self) -> tuple[int, ...]:
        return tuple(self.processes())

    def processes(self) -> frozenset[int]:
        return frozenset(pid for pid in self._pids if os.path.exists(f"/proc/{pid}"))

    def kill(self) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def register(self, *, leader_pid: int, uuid: bytes) -> None:
        """There is nobody to tell."""

    def remove(self) -> None:
        self.kill()


class FakeSupervisor:
    """Places in no cgroup tree, so that no test needs root for it. Statistics of such a place are all None."""

    def __init__(self) -> None:
        self.layout = CgroupLayout(version=1, hierarchies={}, unified=None)
        self.resources = SliceResources()

    def prepare(self, name: str) -> FakeRunCgroup:
        return self.adopt(name)

    def adopt(self, name: str) -> FakeRunCgroup:
        return FakeRunCgroup(name)

    def leftovers(self) -> tuple[str, ...]:
        return ()

    def limit_slice(self, resources: SliceResources) -> None:
        self.resources = resources
