# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Change the limits of a container that runs, by its cgroup's files, and read back what the kernel made of them.

Not by the runtimes' ``update``: runc 1.1.5 leaves throttles and weights alone and cannot take a CPU set back, crun
1.8.1 cannot lift a quota or a limit of processes, and neither can tell whether the kernel took a value.
"""

import contextlib
import errno
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, Unavailable, Unsupported
from covirt.common.units import KIB
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.limit_settings import (
    DEFAULT_V2_WEIGHT,
    V1_THROTTLES,
    V2_THROTTLES,
    Setting,
    Surroundings,
    Value,
    by_device,
    cpu_max_of,
    cpus_of,
    limit_of,
    settings,
    shares_of,
    weight_from_io,
    weight_of,
)
from covirt.oci.resources import BlockIoLimit, Resources

_V1_LIMIT: Final = "memory.limit_in_bytes"
_V1_SWAP: Final = "memory.memsw.limit_in_bytes"
_V1_PERIOD: Final = "cpu.cfs_period_us"
_V1_QUOTA: Final = "cpu.cfs_quota_us"
_WEIGHTS: Final = {1: ("blkio.bfq.weight", "blkio.weight"), 2: ("io.bfq.weight", "io.weight")}


class MemoryInUse(Unavailable):
    template = (
        "the container uses {used_kib} KiB of memory that cannot be given back, which is more than the new limit of "
        "{limit_kib} KiB; end something in it, or choose a higher limit"
    )


class LimitNotTaken(Unavailable):
    template = "the kernel did not take {value} for {file}: {reason}"


class NoSuchLimit(Unsupported):
    template = "this host cannot limit that: its kernel has no {file} (controller {controller})"


class CgroupGone(Conflict):
    template = "the container has just ended: its cgroup {path} is gone"


class CgroupLimits:
    """Limits of any container of one host, by its cgroup path (a RunCgroup.container_path)."""

    def __init__(self, layout: CgroupLayout) -> None:
        self._layout = layout

    def change(self, path: str, old: Resources, new: Resources) -> None:
        """Write what differs, and prove it; everything is as before when that fails.

        Raises MemoryInUse, LimitNotTaken, NoSuchLimit, CgroupGone.
        """
        around = self._surroundings(path)
        before = {each.place: each for each in settings(self._layout, old, around)}
        after = {each.place: each for each in settings(self._layout, new, around)}
        changed = [each for place, each in after.items() if before.get(place) != each]
        changed += [replace(each, value=None) for place, each in before.items() if place not in after]
        try:
            self._write_all(path, changed)
            self._prove(path, changed)
        except BaseException:
            self._write_back(path, [before.get(each.place, replace(each, value=None)) for each in changed])
            raise

    def restore(self, path: str, resources: Resources) -> None:
        """Write everything, whatever the files say now: after a change that was cut off in its middle.

        A container that has ended needs nothing any more. Raises what change() raises.
        """
        if not any(os.path.isdir(f"{mount}{path}") for mount in self._layout.mount_points()):
            return
        wanted = settings(self._layout, resources, self._surroundings(path))
        places = {each.place for each in wanted}
        stray = [each for each in self._throttles(path) if each.place not in places]
        differing = [each for each in wanted if self._kernels(path, each) != each.value]
        self._write_all(path, [*(replace(each, value=None) for each in stray), *differing])
        self._prove(path, wanted)

    def read(self, path: str, expected: Resources | None = None) -> Resources:
        """What the kernel holds the container to now; None is no limit. CPUs and nodes are those it may really use.

        v2 keeps weights where v1 had shares, which is told in shares: ``expected``'s, if they make that weight.
        """
        return self._read_v2(path, expected or Resources()) if self._layout.version == 2 else self._read_v1(path)

    def memory_limit_bytes(self, path: str) -> int | None:
        """That one limit alone, of which people ask often."""
        return limit_of(self._text(path, "memory", "memory.max" if self._layout.version == 2 else _V1_LIMIT) or "")

    def _read_v1(self, path: str) -> Resources:
        def number(controller: str, name: str) -> int | None:
            return limit_of(self._text(path, controller, name) or "")

        weight_file = self._weight_file(path)
        return Resources(
            memory_limit_bytes=number("memory", _V1_LIMIT),
            memory_reservation_bytes=number("memory", "memory.soft_limit_in_bytes"),
            memory_swap_limit_bytes=number("memory", _V1_SWAP),
            cpu_shares=number("cpu", "cpu.shares"),
            cpu_quota_us=number("cpu", _V1_QUOTA),
            cpu_period_us=number("cpu", _V1_PERIOD),
            cpuset=(self._text(path, "cpuset", "cpuset.effective_cpus") or "").strip() or None,
            memory_nodes=(self._text(path, "cpuset", "cpuset.effective_mems") or "").strip() or None,
            pids_limit=number("pids", "pids.max"),
            block_io_weight=weight_of(self._text(path, "blkio", weight_file) or "") if weight_file else None,
            block_io_limits=_limits_of(self._throttles(path)),
        )

    def _read_v2(self, path: str, expected: Resources) -> Resources:
        def text(name: str) -> str:
            return self._text(path, "", name) or ""

        memory, swap = limit_of(text("memory.max")), limit_of(text("memory.swap.max"))
        weight = limit_of(text("cpu.weight")) or DEFAULT_V2_WEIGHT
        quota_us, period_us = cpu_max_of(text("cpu.max"))
        return Resources(
            memory_limit_bytes=memory,
            memory_reservation_bytes=limit_of(text("memory.low")) or None,
            memory_swap_limit_bytes=None if memory is None or swap is None else memory + swap,
            cpu_shares=shares_of(weight, expected.cpu_shares),
            cpu_quota_us=quota_us,
            cpu_period_us=period_us,
            cpuset=text("cpuset.cpus.effective").strip() or None,
            memory_nodes=text("cpuset.mems.effective").strip() or None,
            pids_limit=limit_of(text("pids.max")),
            block_io_weight=self._v2_weight(path),
            block_io_limits=_limits_of(self._throttles(path)),
        )

    def _v2_weight(self, path: str) -> int | None:
        file = self._weight_file(path)
        weight = weight_of(self._text(path, "io", file) or "") if file else None
        return weight_from_io(weight) if weight is not None and file == "io.weight" else weight

    def _throttles(self, path: str) -> list[Setting]:
        """Every rate and weight of a device that the kernel has now."""
        if self._layout.version == 2:
            text = self._text(path, "io", "io.max") or ""
            blank = [
                Setting(controller="io", file="io.max", value=None, device=line.split(" ")[0], key=key)
                for line in text.splitlines()
                for key in V2_THROTTLES
            ]
            found = [replace(each, value=each.found_in(text)) for each in blank]
        else:
            files = [f"blkio.throttle.{name}_device" for name in V1_THROTTLES]
            found = [each for file in files for each in self._device_lines(path, "blkio", file)]
        file = self._weight_file(path)
        if file:
            controller = "io" if self._layout.version == 2 else "blkio"
            found += self._device_lines(path, controller, file if controller == "io" else f"{file}_device")
        return [each for each in found if each.value is not None]

    def _device_lines(self, path: str, controller: str, file: str) -> list[Setting]:
        lines = by_device(self._text(path, controller, file) or "")
        return [Setting(controller=controller, file=file, value=value, device=name) for name, value in lines.items()]

    def _surroundings(self, path: str) -> Surroundings:
        parent = os.path.dirname(path)
        v1 = self._layout.version == 1
        return Surroundings(
            weight_file=self._weight_file(path),
            counts_swap=self._has(path, "memory", _V1_SWAP if v1 else "memory.swap.max"),
            parent_cpus=cpus_of(self._text(parent, "cpuset", "cpuset.cpus") or "") if v1 else frozenset(),
            parent_nodes=cpus_of(self._text(parent, "cpuset", "cpuset.mems") or "") if v1 else frozenset(),
        )

    def _weight_file(self, path: str) -> str | None:
        controller = "io" if self._layout.version == 2 else "blkio"
        return next((name for name in _WEIGHTS[self._layout.version] if self._has(path, controller, name)), None)

    def _write_all(self, path: str, changes: list[Setting]) -> None:
        for each in self._ordered(path, changes):
            if each.file == "memory.max":
                self._make_room(path, each)
            if each.file == "cpuset.mems" and self._layout.version == 1:
                # v2 always takes a container's pages along; without this they would stay where they are.
                self._write(path, replace(each, file="cpuset.memory_migrate", value=1))
            self._write(path, each)

    def _ordered(self, path: str, changes: list[Setting]) -> list[Setting]:
        """v1 never lets memory's limit exceed that of memory and swap, nor a group's quota its parent's share."""
        by_file = {each.file: each for each in changes if not each.device}
        ordered = list(changes)
        if _V1_LIMIT in by_file and _V1_SWAP in by_file:
            limit, swap = by_file[_V1_LIMIT], by_file[_V1_SWAP]
            ordered = [each for each in ordered if each not in (limit, swap)]
            ordered[:0] = [swap, limit] if self._raises(path, swap) else [limit, swap]
        if _V1_PERIOD in by_file and _V1_QUOTA in by_file:
            ordered.insert(0, replace(by_file[_V1_QUOTA], value=None))
        return ordered

    def _raises(self, path: str, setting: Setting) -> bool:
        present = self._kernels(path, setting)
        new = setting.value
        return new is None or (isinstance(present, int) and isinstance(new, int) and new > present)

    def _make_room(self, path: str, setting: Setting) -> None:
        """v2 kills at once for memory that is over a new limit; v1 says no. Ask for the memory back, then decide."""
        used = limit_of(self._text(path, "memory", "memory.current") or "") or 0
        limit = setting.value
        if not isinstance(limit, int) or used <= limit:
            return
        high = replace(setting, file="memory.high")
        self._write(path, high)  # takes back what can be, and returns when that is done
        try:
            used = limit_of(self._text(path, "memory", "memory.current") or "") or 0
            if used > limit:
                raise MemoryInUse(used_kib=used // KIB, limit_kib=limit // KIB)
            self._write(path, setting)
        finally:
            self._write(path, replace(high, value=None))

    def _write(self, path: str, setting: Setting) -> None:
        place = self._place(path, setting.controller, setting.file)
        try:
            if place is None:
                raise FileNotFoundError(errno.ENOENT, "the controller is not mounted")
            descriptor = os.open(place, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
            try:
                os.write(descriptor, setting.spelled().encode())
            finally:
                os.close(descriptor)
        except FileNotFoundError as error:
            if place is not None and not os.path.exists(os.path.dirname(place)):
                raise CgroupGone(path=path) from error
            raise NoSuchLimit(file=setting.file, controller=setting.controller) from error
        except OSError as error:
            if error.errno == errno.EBUSY and setting.controller == "memory" and isinstance(setting.value, int):
                used = limit_of(self._text(path, "memory", "memory.usage_in_bytes") or "") or 0
                raise MemoryInUse(used_kib=used // KIB, limit_kib=setting.value // KIB) from error
            raise LimitNotTaken(value=setting.spelled(), file=setting.file, reason=error.strerror) from error

    def _write_back(self, path: str, wanted: list[Setting]) -> None:
        """Best effort: what cannot be undone now is on record as half done, and is mended at the next start-up."""
        for each in self._ordered(path, wanted):
            with contextlib.suppress(LimitNotTaken, MemoryInUse, NoSuchLimit, CgroupGone):
                self._write(path, each)

    def _prove(self, path: str, wanted: Iterable[Setting]) -> None:
        for each in wanted:
            found = self._kernels(path, each)
            if found != each.value:
                now = replace(each, value=found).spelled().strip()
                raise LimitNotTaken(
                    value=each.spelled().strip() or "nothing", file=each.file, reason=f"it says {now or 'nothing'}"
                )

    def _kernels(self, path: str, setting: Setting) -> Value:
        text = self._text(path, setting.controller, setting.file)
        return None if text is None else setting.found_in(text)

    def _place(self, path: str, controller: str, name: str) -> str | None:
        version_2 = self._layout.version == 2
        mount = self._layout.unified if version_2 else self._layout.hierarchies.get(controller)
        return None if mount is None else f"{mount}{path}/{name}"

    def _has(self, path: str, controller: str, name: str) -> bool:
        place = self._place(path, controller, name)
        return place is not None and os.path.exists(place)

    def _text(self, path: str, controller: str, name: str) -> str | None:
        place = self._place(path, controller, name)
        if place is None:
            return None
        try:
            with open(place, encoding="ascii") as stream:
                return stream.read()
        except OSError:
            return None


def _limits_of(found: Iterable[Setting]) -> tuple[BlockIoLimit, ...]:
    """One for each device."""
    limits: dict[str, BlockIoLimit] = {}
    for each in found:
        major, _, minor = each.device.partition(":")
        limit = limits.get(each.device, BlockIoLimit(major=int(major), minor=int(minor)))
        word = each.key or each.file.removeprefix("blkio.throttle.").removesuffix("_device")
        value = each.value if isinstance(each.value, int) else None
        if each.file == "io.weight" and value is not None:
            value = weight_from_io(value)
        limits[each.device] = _with_rate(limit, word, value)
    return tuple(limits.values())


def _with_rate(limit: BlockIoLimit, word: str, value: int | None) -> BlockIoLimit:
    match word:
        case "rbps" | "read_bps":
            return replace(limit, read_bytes_per_second=value)
        case "wbps" | "write_bps":
            return replace(limit, write_bytes_per_second=value)
        case "riops" | "read_iops":
            return replace(limit, read_operations_per_second=value)
        case "wiops" | "write_iops":
            return replace(limit, write_operations_per_second=value)
        case _:
            return replace(limit, weight=value)
