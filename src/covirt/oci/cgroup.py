# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a container uses, read straight from its cgroup files: no runtime, no library, no more parsing than needed.

One call reads ten files of each of 500 containers, so the files stay open, and lines are found rather than split.
A controller that is not there leaves None: never a zero that looks like a fact.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Flag, auto
from typing import Final, NamedTuple

from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.kernel_file import KernelFile, field, number, read_once

# v1 counts user and system time in ticks of USER_HZ (proc(5)).
_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# v1 writes "no limit" as the largest page-aligned number; anything near it is none.
_NO_LIMIT: Final = 1 << 62
_LARGE: Final = 65536


class Groups(Flag):
    """What to read; each costs its own files."""

    CPU = auto()
    MEMORY = auto()
    PIDS = auto()
    BLOCK = auto()
    ALL = CPU | MEMORY | PIDS | BLOCK


@dataclass(frozen=True, slots=True)
class BlockDeviceStats:
    """Counters since the container began. ``device`` is "MAJOR:MINOR"."""

    device: str
    read_bytes: int
    write_bytes: int
    read_requests: int
    write_requests: int


class NetworkCounters(NamedTuple):
    """As the container sees them."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_drops: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_drops: int


@dataclass(frozen=True, slots=True)
class CgroupStats:
    """None: the controller, or its file, is not there (or there is no limit). Positional on purpose: it is hot."""

    cpu_total_ns: int | None = None
    cpu_user_ns: int | None = None
    cpu_system_ns: int | None = None
    memory_usage_bytes: int | None = None
    memory_rss_bytes: int | None = None  # anonymous memory
    memory_cache_bytes: int | None = None  # page cache, tmpfs included
    memory_inactive_file_bytes: int | None = None  # the part of the cache that is free for the asking
    memory_limit_bytes: int | None = None  # the smallest on the way up (v1), its own (v2)
    memory_swap_bytes: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None
    oom_kills: int | None = None
    pids_current: int | None = None
    pids_limit: int | None = None
    block_devices: tuple[BlockDeviceStats, ...] | None = None

    def block_total(self) -> BlockDeviceStats | None:
        """The sum over all devices."""
        if self.block_devices is None:
            return None
        devices = self.block_devices
        return BlockDeviceStats(
            "",
            sum(device.read_bytes for device in devices),
            sum(device.write_bytes for device in devices),
            sum(device.read_requests for device in devices),
            sum(device.write_requests for device in devices),
        )


_Memory = tuple[
    int | None, int | None, int | None, int | None, int | None, int | None, int | None, int | None, int | None
]
_Triple = tuple[int | None, int | None, int | None]
_Pair = tuple[int | None, int | None]
_NO_MEMORY: Final[_Memory] = (None,) * 9


class _V1Files:
    """The files of one cgroup in the v1 trees; absent where the controller is not mounted."""

    __slots__ = ("cpu_per_cpu", "cpu_stat", "cpu_usage", "io_bytes", "io_requests", "memory_oom", "memory_stat",
                 "memory_usage", "pids_current", "pids_max")  # fmt: skip

    def __init__(self, layout: CgroupLayout, path: str) -> None:
        def place(controller: str, name: str) -> bytes:
            mount = layout.hierarchies.get(controller)
            return b"" if mount is None else os.fsencode(f"{mount}{path}/{name}")

        def file(controller: str, name: str) -> KernelFile:
            return KernelFile(place(controller, name))

        self.cpu_usage = file("cpuacct", "cpuacct.usage")
        self.cpu_stat = file("cpuacct", "cpuacct.stat")
        self.cpu_per_cpu = place("cpuacct", "cpuacct.usage_percpu")
        self.memory_usage = file("memory", "memory.usage_in_bytes")
        self.memory_stat = file("memory", "memory.stat")
        self.memory_oom = file("memory", "memory.oom_control")
        self.pids_current = file("pids", "pids.current")
        self.pids_max = file("pids", "pids.max")
        self.io_bytes = file("blkio", "blkio.throttle.io_service_bytes_recursive")
        self.io_requests = file("blkio", "blkio.throttle.io_serviced_recursive")

    def cpu(self) -> _Triple:
        total = number(self.cpu_usage.read())
        stat = self.cpu_stat.read()
        user, system = field(stat, b"\nuser "), field(stat, b"\nsystem ")
        return (
            total,
            None if user is None else user * _TICK_NS,
            None if system is None else system * _TICK_NS,
        )

    def memory(self) -> _Memory:
        usage = number(self.memory_usage.read())
        if usage is None:
            return _NO_MEMORY
        stat = self.memory_stat.read()
        limit = field(stat, b"\nhierarchical_memory_limit ")
        return (
            usage,
            field(stat, b"\ntotal_rss "),
            field(stat, b"\ntotal_cache "),
            field(stat, b"\ntotal_inactive_file "),
            None if limit is None or limit >= _NO_LIMIT else limit,
            field(stat, b"\ntotal_swap "),
            field(stat, b"\ntotal_pgfault "),
            field(stat, b"\ntotal_pgmajfault "),
            self.oom_kills(),
        )

    def oom_kills(self) -> int | None:
        return field(self.memory_oom.read(), b"\noom_kill ")

    def pids(self) -> _Pair:
        return number(self.pids_current.read()), number(self.pids_max.read())

    def block(self) -> tuple[BlockDeviceStats, ...] | None:
        sizes = self.io_bytes.read()
        if sizes is None:
            return None
        return _v1_block(sizes, self.io_requests.read() or b"")

    def per_cpu(self) -> tuple[int, ...] | None:
        text = read_once(self.cpu_per_cpu)
        return None if text is None else tuple(map(int, text.split()))


class _V2Files:
    """The files of one cgroup in the v2 tree."""

    __slots__ = ("cpu_stat", "io_stat", "memory_current", "memory_events", "memory_max", "memory_stat", "memory_swap",
                 "pids_current", "pids_max")  # fmt: skip

    def __init__(self, layout: CgroupLayout, path: str) -> None:
        def file(name: str) -> KernelFile:
            return KernelFile(os.fsencode(f"{layout.unified}{path}/{name}"))

        self.cpu_stat = file("cpu.stat")
        self.memory_current = file("memory.current")
        self.memory_stat = file("memory.stat")
        self.memory_max = file("memory.max")
        self.memory_swap = file("memory.swap.current")
        self.memory_events = file("memory.events")
        self.pids_current = file("pids.current")
        self.pids_max = file("pids.max")
        self.io_stat = file("io.stat")

    def cpu(self) -> _Triple:
        # cpu.stat has these three even where the controller is off.
        stat = self.cpu_stat.read()
        total, user = field(stat, b"\nusage_usec "), field(stat, b"\nuser_usec ")
        system = field(stat, b"\nsystem_usec ")
        return (
            None if total is None else total * 1000,
            None if user is None else user * 1000,
            None if system is None else system * 1000,
        )

    def memory(self) -> _Memory:
        usage = number(self.memory_current.read())
        if usage is None:
            return _NO_MEMORY
        stat = self.memory_stat.read()
        return (
            usage,
            field(stat, b"\nanon "),
            field(stat, b"\nfile "),
            field(stat, b"\ninactive_file "),
            number(self.memory_max.read()),
            number(self.memory_swap.read()),
            field(stat, b"\npgfault "),
            field(stat, b"\npgmajfault "),
            self.oom_kills(),
        )

    def oom_kills(self) -> int | None:
        return field(self.memory_events.read(), b"\noom_kill ")

    def pids(self) -> _Pair:
        return number(self.pids_current.read()), number(self.pids_max.read())

    def block(self) -> tuple[BlockDeviceStats, ...] | None:
        text = self.io_stat.read()
        return None if text is None else _v2_block(text)

    def per_cpu(self) -> None:
        """v2 does not tell."""


class CgroupReader:
    """Reads any number of cgroups of one host. Safe to use from several threads."""

    def __init__(self, layout: CgroupLayout) -> None:
        self._layout = layout
        self._files: dict[str, _V1Files | _V2Files] = {}

    def read(self, path: str, groups: Groups = Groups.ALL) -> CgroupStats:
        """Statistics of the cgroup at ``path`` (a RunCgroup.container_path). Gone: all None."""
        files = self._files.get(path)
        if files is None:
            files = self._prepare(path)
        if groups is Groups.ALL:
            return CgroupStats(*files.cpu(), *files.memory(), *files.pids(), files.block())
        cpu = files.cpu() if Groups.CPU in groups else (None, None, None)
        memory = files.memory() if Groups.MEMORY in groups else _NO_MEMORY
        pids = files.pids() if Groups.PIDS in groups else (None, None)
        return CgroupStats(*cpu, *memory, *pids, files.block() if Groups.BLOCK in groups else None)

    def cpu_per_cpu_ns(self, path: str) -> tuple[int, ...] | None:
        """CPU time by processor number; None on v2, which does not tell."""
        return (self._files.get(path) or self._prepare(path)).per_cpu()

    def oom_kills(self, path: str) -> int | None:
        """How many processes the kernel killed for lack of memory; to be read before the cgroup is removed."""
        return (self._files.get(path) or self._prepare(path)).oom_kills()

    def forget(self, path: str) -> None:
        """Drop what was prepared for a cgroup that is gone."""
        self._files.pop(path, None)

    def _prepare(self, path: str) -> _V1Files | _V2Files:
        files = _V2Files(self._layout, path) if self._layout.version == 2 else _V1Files(self._layout, path)
        self._files[path] = files
        return files


def read_network_counters(names: Collection[str] | None = None) -> Mapping[str, NetworkCounters]:
    """Counters by host-side name, from one read of /proc/net/dev (a netlink dump of 1,000 links takes 300 ms).

    What the host's end of a veth pair sends is what the container receives: both directions are given as the
    container's. ``names`` limits the work to these; a name that is not there is left out.
    """
    with open("/proc/net/dev", "rb", buffering=_LARGE) as stream:
        lines = stream.read().split(b"\n")
    counters: dict[str, NetworkCounters] = {}
    for line in lines[2:]:
        name, colon, numbers = line.partition(b":")
        if not colon:
            continue
        text = os.fsdecode(name.strip())
        if names is not None and text not in names:
            continue
        # rx: bytes packets errs drop fifo frame compressed multicast; tx: bytes packets errs drop fifo ...
        (in_bytes, in_packets, in_errors, in_drops, _, _, _, _, out_bytes, out_packets, out_errors, out_drops) = map(
            int, numbers.split()[:12]
        )
        counters[text] = NetworkCounters(
            out_bytes, out_packets, out_errors, out_drops, in_bytes, in_packets, in_errors, in_drops
        )
    return counters


def _v1_block(sizes: bytes, requests: bytes) -> tuple[BlockDeviceStats, ...]:
    """Lines "MAJOR:MINOR Read|Write|... NUMBER", and a line "Total NUMBER" without a device."""
    if sizes.startswith(b"Total"):
        return ()
    found: dict[bytes, list[int]] = {}
    for offset, text in ((0, sizes), (2, requests)):
        for line in text.split(b"\n"):
            words = line.split(b" ")
            if len(words) != 3 or words[1] not in _V1_KINDS:
                continue
            found.setdefault(words[0], [0, 0, 0, 0])[offset + _V1_KINDS[words[1]]] = int(words[2])
    return tuple(BlockDeviceStats(device.decode(), *numbers) for device, numbers in found.items())


_V1_KINDS: Final = {b"Read": 0, b"Write": 1}


def _v2_block(text: bytes) -> tuple[BlockDeviceStats, ...]:
    """Lines "MAJOR:MINOR rbytes=N wbytes=N rios=N wios=N ...", or the device alone when it did nothing yet."""
    devices = []
    for line in text.split(b"\n"):
        device, _, rest = line.partition(b" ")
        if not device:
            continue
        values = dict(pair.partition(b"=")[::2] for pair in rest.split())
        devices.append(
            BlockDeviceStats(
                device.decode(),
                int(values.get(b"rbytes", 0)),
                int(values.get(b"wbytes", 0)),
                int(values.get(b"rios", 0)),
                int(values.get(b"wios", 0)),
            )
        )
    return tuple(devices)
