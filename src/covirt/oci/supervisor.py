# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The cgroup of a run: conmon in the leaf ``supervisor``, the container in the leaf ``container``.

Two leaves, because a v2 cgroup that hands controllers on may not hold processes itself. Under systemd the two lie in
a transient scope, so that systemd and machined know the run; without it virtocid makes the same layout by itself.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from covirt.common.errors import CommandFailed, Error
from covirt.common.process import PIPE, Argument, Child, run, spawn
from covirt.common.readable import readable_within
from covirt.common.threads import call_in_thread
from covirt.common.undo import undo_on_failure
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.cgroup_tree import CgroupTree, SliceResources, cpu_weight
from covirt.oci.resources import BlockIoLimit

log = logging.getLogger(__name__)

_SYSTEMCTL_SECONDS: Final = 10.0
_SCOPE_SECONDS: Final = 30.0
_TRANSIENT_UNITS: Final = "/run/systemd/transient"  # systemd.unit(5): a file for each as long as it is loaded
# Accounting makes systemd give the scope a place in the v1 trees of these controllers, and their files on v2.
_SCOPE_PROPERTIES: Final = (
    "Delegate=yes",
    "CPUAccounting=yes",
    "MemoryAccounting=yes",
    "TasksAccounting=yes",
    "IOAccounting=yes",
    "TasksMax=infinity",  # the container has its own limit
)


class ScopeNotStarted(CommandFailed):
    template = "systemd did not start the scope {unit}: {message}"


class RunCgroup(Protocol):
    """The place of one run. Paths are relative to the mount points, with a leading slash."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str:
        """The run's own cgroup, parent of the two leaves."""

    @property
    def container_path(self) -> str:
        """The value of linux.cgroupsPath, and what CgroupReader reads."""

    @property
    def supervisor_path(self) -> str:
        """Where conmon and its helpers (udhcpc) belong."""

    def spawn(
        self,
        argv: Sequence[Argument],
        *,
        environment: Mapping[str, str],
        directory: Argument,
        pass_descriptors: Sequence[int],
    ) -> Child:
        """Start a program in the leaf ``supervisor``, its stderr a pipe. Raises ScopeNotStarted, CommandMissing.

        The program must not fork before this returns (conmon waits for its start pipe).
        """

    def enter_supervisor(self, pid: int) -> None:
        """Move another process there."""

    def spawn_helper(self, start: Callable[[], Child]) -> Child:
        """Call ``start`` in a thread that ends afterwards, and have the program it starts in the leaf ``supervisor``,
        once spawn() has made that.
        """

    def helpers(self) -> tuple[int, ...]:
        """Pids in the leaf ``supervisor``."""

    def processes(self) -> frozenset[int]:
        """Pids of everything in the run's place."""

    def kill(self) -> None:
        """SIGKILL everything in the run's place."""

    def register(self, *, leader_pid: int, uuid: bytes) -> None:
        """Tell the system's machine manager about the running container; best effort, takes some 10 ms."""

    def remove(self) -> None:
        """Kill what is left and remove it; done before is fine. Raises CgroupBusy."""


class Supervisor(Protocol):
    """Makes the places of runs."""

    @property
    def layout(self) -> CgroupLayout: ...

    def prepare(self, name: str) -> RunCgroup:
        """Make the place of a run; ``name`` is unique on this installation (a container id). Raises CgroupNotMade."""

    def adopt(self, name: str) -> RunCgroup:
        """The place of a run made by an earlier daemon; makes nothing."""

    def leftovers(self) -> tuple[str, ...]:
        """Names of all runs that have a place now, for clean-up after a crash."""

    def limit_slice(self, resources: SliceResources) -> None:
        """Set what all runs may use together."""


def systemd_is_running() -> bool:
    """sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")


def supervisor_for(root_id: str, *, layout: CgroupLayout | None = None) -> Supervisor:
    """The right one for this host."""
    layout = layout or CgroupLayout.detect()
    if systemd_is_running():
        return SystemdSupervisor(root_id, layout)
    return PlainSupervisor(root_id, layout)


class PlainRunCgroup:
    """A run's place made by hand."""

    def __init__(self, tree: CgroupTree, name: str, path: str) -> None:
        self._tree = tree
        self.name = name
        self.path = path
        self.container_path = f"{path}/container"
        self.supervisor_path = f"{path}/supervisor"

    def spawn(
        self,
        argv: Sequence[Argument],
        *,
        environment: Mapping[str, str],
        directory: Argument,
        pass_descriptors: Sequence[int],
    ) -> Child:
        def start() -> Child:
            return spawn(
                argv, environment=environment, directory=directory, pass_descriptors=pass_descriptors, stderr=PIPE
            )

        if self._tree.layout.version == 1:
            return self._tree.call_inside(self.supervisor_path, start)
        child = start()
        try:
            self.enter_supervisor(child.pid)
        except BaseException:
            child.stop(grace_seconds=0)
            raise
        return child

    def enter_supervisor(self, pid: int) -> None:
        self._tree.enter(self.supervisor_path, pid)

    def spawn_helper(self, start: Callable[[], Child]) -> Child:
        if self._tree.layout.version == 1:
            return self._tree.call_inside(self.supervisor_path, start)
        child = call_in_thread(start, name="covirt-helper")
        try:
            self.enter_supervisor(child.pid)
        except BaseException:
            child.stop(grace_seconds=0)
            raise
        return child

    def helpers(self) -> tuple[int, ...]:
        return self._tree.members(self.supervisor_path)

    def processes(self) -> frozenset[int]:
        return self._tree.processes(self.path)

    def kill(self) -> None:
        self._tree.kill(self.path)

    def register(self, *, leader_pid: int, uuid: bytes) -> None:
        """There is no machine manager without systemd."""

    def remove(self) -> None:
        self._tree.remove(self.path)


class PlainSupervisor:
    """Without systemd: ``/covirt-<root id>/<run>/{supervisor,container}`` in every tree."""

    def __init__(self, root_id: str, layout: CgroupLayout, *, slice_name: str | None = None) -> None:
        self.layout = layout
        self.slice_path = f"/{slice_name or f'covirt-{root_id}'}"
        self._tree = CgroupTree(layout)

    def prepare(self, name: str) -> PlainRunCgroup:
        place = self.adopt(name)
        with undo_on_failure() as undo:
            undo.add(f"remove cgroup {place.path}", place.remove)
            self._tree.make(place.supervisor_path)
            self._tree.delegate(place.path)
        return place

    def adopt(self, name: str) -> PlainRunCgroup:
        return PlainRunCgroup(self._tree, name, f"{self.slice_path}/{name}")

    def leftovers(self) -> tuple[str, ...]:
        return self._tree.children(self.slice_path)

    def limit_slice(self, resources: SliceResources) -> None:
        self._tree.make(self.slice_path)
        self._tree.limit(self.slice_path, resources)

    def remove(self) -> None:
        """Remove the slice with every run in it: for tests and for the end of an installation."""
        self._tree.remove(self.slice_path)


class SystemdRunCgroup(PlainRunCgroup):
    """A run's place inside a transient scope."""

    def __init__(self, tree: CgroupTree, name: str, path: str, *, unit: str, slice_name: str) -> None:
        super().__init__(tree, name, path)
        self.unit = unit
        self._slice_name = slice_name

    def spawn(
        self,
        argv: Sequence[Argument],
        *,
        environment: Mapping[str, str],
        directory: Argument,
        pass_descriptors: Sequence[int],
    ) -> Child:
        # --scope, not a service: only so does conmon inherit its pipes. Delegate= stops systemd from touching what is
        # below; --collect forgets the unit even when it failed, so that its name is free again.
        launcher = ["systemd-run", "--scope", "--collect", f"--unit={self.unit}", f"--slice={self._slice_name}"]
        launcher += [f"--description=covirt container {self.name}"]
        launcher += [f"--property={setting}" for setting in _SCOPE_PROPERTIES]
        child = spawn(
            [*launcher, "--", *argv],
            environment=environment,
            directory=directory,
            pass_descriptors=pass_descriptors,
            stderr=PIPE,
        )
        try:
            self._wait_for_scope(child)
            self._tree.make(self.supervisor_path, hand_on=False)
            self.enter_supervisor(child.pid)
            self._tree.delegate(self.path)
        except BaseException:
            child.stop(grace_seconds=0)
            raise
        return child

    def register(self, *, leader_pid: int, uuid: bytes) -> None:
        # org.freedesktop.machine1(5): RegisterMachine(s name, ay id, s service, s class, u leader, s root_directory)
        call = ["busctl", "call", "--quiet", "org.freedesktop.machine1", "/org/freedesktop/machine1"]
        call += ["org.freedesktop.machine1.Manager", "RegisterMachine", "sayssus", self.unit.removesuffix(".scope")]
        call += [str(len(uuid)), *(str(byte) for byte in uuid), "covirt", "container", str(leader_pid), ""]
        try:
            run(call, timeout_seconds=_SYSTEMCTL_SECONDS)
        except Error as error:
            log.debug("Not registered with systemd-machined unit=%s: %s", self.unit, error)

    def remove(self) -> None:
        super().remove()
        # systemd learns from the cgroup that the last process ended, and the kernel may tell it only after we removed
        # the cgroup: then the scope would stay "active" for ever. So does one whose program never started.
        if os.path.exists(f"{_TRANSIENT_UNITS}/{self.unit}"):
            run(["systemctl", "stop", self.unit], timeout_seconds=_SYSTEMCTL_SECONDS, check=False)

    def _wait_for_scope(self, child: Child) -> None:
        """systemd-run says "Running ..." on stderr when the scope exists, right before it becomes the program."""
        said = b""
        while not re.search(rb"^Running .*\n", said, re.MULTILINE):
            more = os.read(child.stderr.fileno(), 4096) if readable_within(child.stderr, _SCOPE_SECONDS) else b""
            said += more
            if not more:
                reason = said.decode(errors="replace").strip() or "no answer in time"
                raise ScopeNotStarted(unit=self.unit, message=reason)


class SystemdSupervisor:
    """With systemd: ``machine.slice/machine-covirt.slice/covirt-<root id>-<run>.scope/{supervisor,container}``.

    A slice of our own below libvirt's machine.slice, so that its limits leave virtual machines alone.
    """

    def __init__(self, root_id: str, layout: CgroupLayout, *, slice_name: str = "machine-covirt.slice") -> None:
        self.layout = layout
        self.slice_name = slice_name
        self.slice_path = slice_path(slice_name)
        self._prefix = f"covirt-{root_id}-"
        self._tree = CgroupTree(layout)

    def prepare(self, name: str) -> SystemdRunCgroup:
        return self.adopt(name)  # spawn() makes the scope: a scope needs its first process

    def adopt(self, name: str) -> SystemdRunCgroup:
        unit = f"{self._prefix}{name}.scope"
        return SystemdRunCgroup(self._tree, name, f"{self.slice_path}/{unit}", unit=unit, slice_name=self.slice_name)

    def leftovers(self) -> tuple[str, ...]:
        return tuple(
            child.removeprefix(self._prefix).removesuffix(".scope")
            for child in self._tree.children(self.slice_path)
            if child.startswith(self._prefix) and child.endswith(".scope")
        )

    def limit_slice(self, resources: SliceResources) -> None:
        settings = _slice_settings(resources, version=self.layout.version)
        command = ["systemctl", "set-property", "--runtime", self.slice_name, *settings]
        run(command, timeout_seconds=_SYSTEMCTL_SECONDS)


def slice_path(slice_name: str) -> str:
    """Where systemd puts a slice: each dash is a level, so "a-b.slice" lies in "/a.slice/a-b.slice"."""
    words = slice_name.removesuffix(".slice").split("-")
    return "".join(f"/{'-'.join(words[: depth + 1])}.slice" for depth in range(len(words)))


def _slice_settings(resources: SliceResources, *, version: int) -> list[str]:
    def text(value: object | None) -> str:
        return "infinity" if value is None else str(value)

    memory = "MemoryMax" if version == 2 else "MemoryLimit"
    settings = [f"{memory}={text(resources.memory_limit_bytes)}", f"TasksMax={text(resources.pids_limit)}"]
    if resources.cpu_quota_us is None:
        settings.append("CPUQuota=")
    else:
        settings.append(f"CPUQuota={resources.cpu_quota_us * 100 // resources.cpu_period_us}%")
    # Also what is not configured any more is set: systemd remembers what it was told until the host is shut down.
    if version == 2:
        settings.append(f"CPUWeight={100 if resources.cpu_shares is None else cpu_weight(resources.cpu_shares)}")
    else:
        settings.append(f"CPUShares={resources.cpu_shares or 1024}")
    return [*settings, *_disk_settings(resources.block_io_limits, version=version)]


def _disk_settings(limits: tuple[BlockIoLimit, ...], *, version: int) -> list[str]:
    """An empty value first takes back what was set before. On v1 systemd has old words, and none for operations."""
    settings = ["BlockIOReadBandwidth=", "BlockIOWriteBandwidth="]
    if version == 2:
        settings = ["IOReadBandwidthMax=", "IOWriteBandwidthMax=", "IOReadIOPSMax=", "IOWriteIOPSMax="]
    for limit in limits:
        if version == 1 and (limit.read_operations_per_second or limit.write_operations_per_second):
            log.warning("Operations are not limited, which systemd cannot with cgroup version 1 device=%d:%d",
                        limit.major, limit.minor)  # fmt: skip
        values = {
            "IOReadBandwidthMax" if version == 2 else "BlockIOReadBandwidth": limit.read_bytes_per_second,
            "IOWriteBandwidthMax" if version == 2 else "BlockIOWriteBandwidth": limit.write_bytes_per_second,
        }
        if version == 2:
            values["IOReadIOPSMax"] = limit.read_operations_per_second
            values["IOWriteIOPSMax"] = limit.write_operations_per_second
        device = f"/dev/block/{limit.major}:{limit.minor}"
        settings += [f"{word}={device} {value}" for word, value in values.items() if value]
    return settings
