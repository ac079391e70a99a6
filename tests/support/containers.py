# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Containers of busybox with conmon in front, in cgroups of their own, for tests of everything below virtocid."""

import queue
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.monitor import ConmonMonitor, MonitoredContainer, MonitorPaths, RunEnd, read_end
from covirt.oci.processes import ExitWatcher
from covirt.oci.runtime import Runtime, RuntimeConfig
from covirt.oci.runtimes.command_line import CommandLineRuntime
from covirt.oci.supervisor import PlainSupervisor, RunCgroup
from tests.support.bundles import make_bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One container, created or started."""

    name: str
    paths: MonitorPaths
    cgroup: RunCgroup
    processes: MonitoredContainer


class Containers:
    """Makes runs of one runtime and takes everything back at the end."""

    def __init__(self, runtime: Runtime, directory: Path, *, slice_name: str) -> None:
        self.runtime = runtime
        self.directory = directory
        self.supervisor = PlainSupervisor("tests", CgroupLayout.detect(), slice_name=slice_name)
        self.monitor = ConmonMonitor()
        self.watcher = ExitWatcher()
        self._ends: queue.Queue[object] = queue.Queue()
        self.watcher.start()

    def paths(self, name: str) -> MonitorPaths:
        directory = self.directory / name
        return MonitorPaths(directory=directory / "monitor", bundle=directory / "bundle", log=directory / "log")

    def create(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        terminal: bool = False,
        resources: Mapping[str, Any] | None = None,
    ) -> Run:
        paths = self.paths(name)
        cgroup = self.supervisor.prepare(name)
        make_bundle(
            paths.bundle, arguments, cgroups_path=cgroup.container_path, terminal=terminal, resources=resources
        )
        processes = self.monitor.create(
            runtime=self.runtime, container_id=name, paths=paths, terminal=terminal, cgroup=cgroup
        )
        self.watcher.watch(name, processes.monitor, self._ends.put)
        return Run(name=name, paths=paths, cgroup=cgroup, processes=processes)

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        terminal: bool = False,
        resources: Mapping[str, Any] | None = None,
    ) -> Run:
        run = self.create(name, arguments, terminal=terminal, resources=resources)
        self.runtime.start(name)
        return run

    def wait(self, run: Run) -> RunEnd:
        """Wait for the end of the run's monitor; other runs must not end meanwhile."""
        assert self._ends.get(timeout=60) == run.name
        return read_end(run.paths, run.processes.container)

    def no_end_seen(self) -> bool:
        return self._ends.empty()

    def close(self) -> None:
        self.watcher.stop()
        for state in self.runtime.list():
            self.runtime.delete(state.container_id, force=True)
        self.supervisor.remove()


@contextmanager
def containers(runtime_name: str, directory: Path, *, slice_name: str) -> Iterator[Containers]:
    """``slice_name`` keeps tests apart that run at the same time."""
    config = RuntimeConfig(name=runtime_name, path=runtime_name)
    made = Containers(CommandLineRuntime(config, state_dir=directory / "state"), directory, slice_name=slice_name)
    try:
        yield made
    finally:
        made.close()
