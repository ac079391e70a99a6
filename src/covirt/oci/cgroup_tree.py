# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Making, entering and removing one path in every cgroup tree of a host."""

import contextlib
import errno
import logging
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from covirt.common.errors import Unavailable
from covirt.common.threads import call_in_thread
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.resources import BlockIoLimit

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# What containers are limited by; enabled on the way down a v2 tree. Others (rdma, hugetlb) stay as the host has them.
V2_CONTROLLERS: Final = ("cpu", "memory", "pids", "io", "cpuset")
_REMOVE_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 0.02
_LIMIT_REFUSED: Final = {
    errno.EBUSY: "more is in use; it is set at the next start of virtocid at which less is",
    errno.EINVAL: "a container has a higher limit; it is set at the next start of virtocid at which none has",
}


class CgroupBusy(Unavailable):
    template = (
        "the cgroup {path} still holds processes that do not die: {pids}; they wait for a device or file system"
    )


class CgroupNotMade(Unavailable):
    template = "the cgroup {path} could not be made: {reason}; is the cgroup file system writable here?"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceResources:
    """What all containers of one installation may use together; None is no limit."""

    memory_limit_bytes: int | None = None
    cpu_shares: int | None = None  # v1 scale: 2 to 262144, by default 1024
    cpu_quota_us: int | None = None
    cpu_period_us: int = 100_000
    pids_limit: int | None = None
    block_io_limits: tuple[BlockIoLimit, ...] = ()  # a device that is not among them has none


def cpu_weight(shares: int) -> int:
    """v1 shares on v2's scale, as the runtimes convert them: 2..262144 -> 1..10000, linearly."""
    return 1 + (max(2, min(shares, 262144)) - 2) * 9999 // 262142


class CgroupTree:
    """The same relative path ("/covirt-abcdef/x/supervisor") in all trees of a layout."""

    def __init__(self, layout: CgroupLayout) -> None:
        self.layout = layout
        self._mounts = layout.mount_points()
        # Beside v1, runc makes the path in the v2 tree too, and removes only the last part of it: ours to clear away.
        self._everywhere = (*self._mounts, layout.unified) if layout.version == 1 and layout.unified else self._mounts
        self._cpuset = layout.hierarchies.get("cpuset")

    def make(self, path: str, *, hand_on: bool = True) -> None:
        """Make ``path`` and its parents, usable at once; existing ones are kept. Raises CgroupNotMade.

        ``hand_on`` False leaves the controllers of the parents as they are (v2), as for parents of systemd's.
        """
        try:
            for mount in self._mounts:
                self._make_in(mount, path, hand_on=hand_on)
        except OSError as error:
            raise CgroupNotMade(path=path, reason=error.strerror) from error

    def delegate(self, path: str) -> None:
        """On v2, hand every controller on to the children of ``path``; it must not hold processes itself."""
        if self.layout.version == 2:
            _enable_controllers(f"{self._mounts[0]}{path}")

    def enter(self, path: str, pid: int) -> None:
        """Move a whole process. Costs an RCU grace period (6 to 8 ms) in the kernel: see call_inside()."""
        for mount in self._mounts:
            _write(f"{mount}{path}/cgroup.procs", str(pid))

    def call_inside(self, path: str, function: Callable[[], Result]) -> Result:
        """Call ``function`` in a thread that has entered ``path``, so that a process it starts is born there.

        v1 only. A thread that moves itself alone skips the lock, and the grace period, of moving a process.
        """
        if self.layout.version != 1:
            raise ValueError("v2 has no cgroups of single threads outside threaded subtrees")

        def enter_and_call() -> Result:
            for mount in self._mounts:
                _write(f"{mount}{path}/tasks", "0")
            return function()

        return call_in_thread(enter_and_call, name="covirt-spawn")

    def processes(self, path: str) -> frozenset[int]:
        """Pids anywhere below ``path`` in any tree, this process never among them."""
        pids: set[int] = set()
        for mount in self._everywhere:
            for directory in _walk(f"{mount}{path}"):
                pids.update(_pids(directory))
        # 0 stands for a process of another pid namespace, and would be our own process group to kill(2).
        return frozenset(pids) - {0, os.getpid()}

    def members(self, path: str) -> tuple[int, ...]:
        """Pids right in ``path``; absent has none. One read, of a tree in which every process of ours is."""
        return tuple(_pids(f"{self._mounts[0]}{path}"))

    def kill(self, path: str) -> None:
        """SIGKILL everything below ``path``, faster than it can fork."""
        if self.layout.version == 2:
            with contextlib.suppress(OSError):
                _write(f"{self._mounts[0]}{path}/cgroup.kill", "1")  # Linux 5.14
                return
        freezer = self.layout.hierarchies.get("freezer")
        frozen = list(_walk(f"{freezer}{path}")) if freezer else []
        for directory in frozen:
            with contextlib.suppress(OSError):
                _write(f"{directory}/freezer.state", "FROZEN")
        for pid in self.processes(path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for directory in frozen:  # a frozen process dies when thawed
            with contextlib.suppress(OSError):
                _write(f"{directory}/freezer.state", "THAWED")

    def remove(self, path: str, *, timeout_seconds: float = _REMOVE_SECONDS) -> None:
        """Kill what is left below ``path`` and remove it everywhere; absent is fine. Raises CgroupBusy."""
        deadline = time.monotonic() + timeout_seconds
        while not self._try_remove(path):
            self.kill(path)
            if time.monotonic() > deadline:
                raise CgroupBusy(path=path, pids=sorted(self.processes(path)))
            self._wait_for_change(path)

    def children(self, path: str) -> tuple[str, ...]:
        """Names right below ``path`` in any tree."""
        names: set[str] = set()
        for mount in self._everywhere:
            with contextlib.suppress(FileNotFoundError), os.scandir(f"{mount}{path}") as entries:
                names.update(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        return tuple(sorted(names))

    def limit(self, path: str, resources: SliceResources) -> None:
        """Write limits. One that the kernel does not take is logged, and what was before stays.

        Controllers may not be there, and v1 refuses what the cgroups below already exceed.
        """
        files = _v2_limits(resources) if self.layout.version == 2 else _v1_limits(resources)
        for controller, name, value in files:
            mount = self._mounts[0] if self.layout.version == 2 else self.layout.hierarchies.get(controller)
            try:
                if mount is None:
                    raise FileNotFoundError(errno.ENOENT, "the controller is not mounted")
                _write(f"{mount}{path}/{name}", value)
            except FileNotFoundError as error:
                log.warning("Limit not set cgroup=%s file=%s value=%s: %s", path, name, value, error.strerror)
            except OSError as error:
                reason = _LIMIT_REFUSED.get(error.errno or 0, error.strerror)
                log.error("Limit not set cgroup=%s file=%s value=%s: %s", path, name, value, reason)
        self._limit_disks(path, resources.block_io_limits)

    def _limit_disks(self, path: str, limits: tuple[BlockIoLimit, ...]) -> None:
        """Each line that is written stands for one device; what an earlier configuration had is taken back."""
        mount = self._mounts[0] if self.layout.version == 2 else self.layout.hierarchies.get("blkio")
        words = _v2_disk_lines(limits) if self.layout.version == 2 else _v1_disk_lines(limits)
        nothing = _V2_NO_DISK_LIMIT if self.layout.version == 2 else "0"
        for name, lines in words.items():
            try:
                if mount is None:
                    raise FileNotFoundError(errno.ENOENT, "the controller is not mounted")
                present = {line.split()[0] for line in _read(f"{mount}{path}/{name}").splitlines() if line.strip()}
                for device in present - lines.keys():
                    _write(f"{mount}{path}/{name}", f"{device} {nothing}")
                for device, value in lines.items():
                    _write(f"{mount}{path}/{name}", f"{device} {value}")
            except OSError as error:
                if lines:
                    log.warning("Limit not set cgroup=%s file=%s value=%s: %s", path, name, lines, error.strerror)

    def exists(self, path: str) -> bool:
        return any(os.path.isdir(f"{mount}{path}") for mount in self._everywhere)

    def _try_remove(self, path: str) -> bool:
        gone = True
        for mount in self._everywhere:
            for directory in _walk(f"{mount}{path}"):
                try:
                    os.rmdir(directory)
                except FileNotFoundError:
                    pass
                except OSError as error:
                    if error.errno not in {errno.EBUSY, errno.ENOTEMPTY}:
                        raise
                    gone = False
        return gone

    def _wait_for_change(self, path: str) -> None:
        """Wait for the killed to be gone: on v2 the kernel tells; on v1 their pids do."""
        with contextlib.ExitStack() as stack:
            poller = select.poll()
            for pid in list(self.processes(path))[:64]:
                with contextlib.suppress(OSError):
                    descriptor = os.pidfd_open(pid)
                    stack.callback(os.close, descriptor)
                    poller.register(descriptor, select.POLLIN)
            poller.poll(_RETRY_SECONDS * 1000)

    def _make_in(self, mount: str, path: str, *, hand_on: bool) -> None:
        directory = mount
        parts = [part for part in path.split("/") if part]
        for part in parts:
            if hand_on and self.layout.version == 2:
                _enable_controllers(directory)
            parent, directory = directory, f"{directory}/{part}"
            try:
                os.mkdir(directory)
            except FileExistsError:
                continue
            if mount == self._cpuset:
                # A v1 cpuset is born empty, and nothing can enter it so.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    _write(f"{directory}/{name}", _read(f"{parent}/{name}"))


_Limits = list[tuple[str, str, str]]  # controller, file, value


def _v1_limits(resources: SliceResources) -> _Limits:
    memory = -1 if resources.memory_limit_bytes is None else resources.memory_limit_bytes
    quota = -1 if resources.cpu_quota_us is None else resources.cpu_quota_us
    pids = "max" if resources.pids_limit is None else str(resources.pids_limit)
    return [
        ("memory", "memory.limit_in_bytes", str(memory)),
        ("cpu", "cpu.shares", str(resources.cpu_shares or 1024)),
        ("cpu", "cpu.cfs_period_us", str(resources.cpu_period_us)),
        ("cpu", "cpu.cfs_quota_us", str(quota)),
        ("pids", "pids.max", pids),
    ]


def _v2_limits(resources: SliceResources) -> _Limits:
    memory = "max" if resources.memory_limit_bytes is None else str(resources.memory_limit_bytes)
    quota = "max" if resources.cpu_quota_us is None else str(resources.cpu_quota_us)
    pids = "max" if resources.pids_limit is None else str(resources.pids_limit)
    weight = 100 if resources.cpu_shares is None else cpu_weight(resources.cpu_shares)
    return [
        ("memory", "memory.max", memory),
        ("cpu", "cpu.weight", str(weight)),
        ("cpu", "cpu.max", f"{quota} {resources.cpu_period_us}"),
        ("pids", "pids.max", pids),
    ]


_V2_NO_DISK_LIMIT: Final = "rbps=max wbps=max riops=max wiops=max"


def _v1_disk_lines(limits: tuple[BlockIoLimit, ...]) -> dict[str, dict[str, str]]:
    def lines(value_of: Callable[[BlockIoLimit], int | None]) -> dict[str, str]:
        return {f"{limit.major}:{limit.minor}": str(value_of(limit)) for limit in limits if value_of(limit)}

    return {
        "blkio.throttle.read_bps_device": lines(lambda limit: limit.read_bytes_per_second),
        "blkio.throttle.write_bps_device": lines(lambda limit: limit.write_bytes_per_second),
        "blkio.throttle.read_iops_device": lines(lambda limit: limit.read_operations_per_second),
        "blkio.throttle.write_iops_device": lines(lambda limit: limit.write_operations_per_second),
    }


def _v2_disk_lines(limits: tuple[BlockIoLimit, ...]) -> dict[str, dict[str, str]]:
    def words(limit: BlockIoLimit) -> str:
        values = {
            "rbps": limit.read_bytes_per_second,
            "wbps": limit.write_bytes_per_second,
            "riops": limit.read_operations_per_second,
            "wiops": limit.write_operations_per_second,
        }
        return " ".join(f"{name}={value or 'max'}" for name, value in values.items())

    return {"io.max": {f"{limit.major}:{limit.minor}": words(limit) for limit in limits}}


def _enable_controllers(directory: str) -> None:
    control = f"{directory}/cgroup.subtree_control"
    try:
        missing = [name for name in V2_CONTROLLERS if name not in _read(control).split()]
        available = _read(f"{directory}/cgroup.controllers").split() if missing else []
    except OSError:
        return
    for name in missing:
        if name not in available:
            continue
        # One at a time: the kernel takes a line as a whole or not at all.
        try:
            _write(control, f"+{name}")
        except OSError as error:
            log.warning("Controller not available to containers controller=%s cgroup=%s: %s", name, directory, error)


def _walk(directory: str) -> Iterator[str]:
    """``directory`` and all below it, children first; absent yields nothing."""
    try:
        with os.scandir(directory) as entries:
            children = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, OSError):
        return
    for child in children:
        yield from _walk(child)
    yield directory


def _pids(directory: str) -> list[int]:
    try:
        return [int(line) for line in _read(f"{directory}/cgroup.procs").split()]
    except OSError:
        return []


def _read(path: str) -> str:
    with open(path, encoding="ascii") as stream:
        return stream.read()


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
