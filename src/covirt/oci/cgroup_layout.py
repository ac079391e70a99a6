# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How this host's cgroup trees are mounted, found out once: v2 alone, or v1 with or without a v2 tree beside it."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CGROUP_ROOT: Final = "/sys/fs/cgroup"
# The v1 tree without a controller in which systemd keeps its units.
NAMED_SYSTEMD: Final = "name=systemd"


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupLayout:
    """``hierarchies``: v1 controller -> mount point, the named systemd tree included; empty on v2.

    ``unified``: mount point of the v2 tree, which on v1 holds no controller of ours.
    """

    version: int
    hierarchies: Mapping[str, str]
    unified: str | None

    @classmethod
    def detect(cls, *, mountinfo: str = "/proc/self/mountinfo", root: str = CGROUP_ROOT) -> "CgroupLayout":
        """Read the mount table. Mounts elsewhere than below ``root`` are not the host's and do not count."""
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as stream:
            return cls.parse(stream, root=root)

    @classmethod
    def parse(cls, lines: Iterable[str], *, root: str = CGROUP_ROOT) -> "CgroupLayout":
        hierarchies: dict[str, str] = {}
        unified: str | None = None
        for line in lines:
            # proc(5): ID parent major:minor root MOUNTPOINT options [tags...] - TYPE source SUPEROPTIONS
            head, _, tail = line.rstrip("\n").partition(" - ")
            place = head.split(" ")[4:5]
            kind, _, rest = tail.partition(" ")
            if kind not in {"cgroup", "cgroup2"} or not place:
                continue
            if place[0] != root and os.path.dirname(place[0]) != root:
                continue
            if kind == "cgroup2":
                unified = place[0]
                continue
            for option in rest.partition(" ")[2].split(","):
                if option == NAMED_SYSTEMD or option in _V1_CONTROLLERS:
                    hierarchies[option] = place[0]
        pure = unified == root
        return cls(version=2 if pure else 1, hierarchies={} if pure else hierarchies, unified=unified)

    def mount_points(self) -> tuple[str, ...]:
        """Every tree in which a run gets a place, each once."""
        if self.version == 2:
            return (self.unified or CGROUP_ROOT,)
        return tuple(dict.fromkeys(self.hierarchies.values()))

    def unified_controllers(self) -> frozenset[str]:
        """Controllers that the v2 tree offers at its top."""
        if self.unified is None:
            return frozenset()
        try:
            return frozenset(Path(self.unified, "cgroup.controllers").read_text().split())
        except OSError:
            return frozenset()

    def controllers(self) -> frozenset[str]:
        """Controllers a container can be limited by here."""
        if self.version == 2:
            return self.unified_controllers()
        return frozenset(self.hierarchies) - {NAMED_SYSTEMD}

    def counts_swap(self) -> bool:
        """Tell whether swap can be limited per cgroup; v2 does not show it at the top, so the kernel is asked."""
        if self.version == 1:
            memory = self.hierarchies.get("memory")
            return memory is not None and os.path.exists(f"{memory}/memory.memsw.limit_in_bytes")
        return os.path.exists("/proc/swaps")


_V1_CONTROLLERS: Final = frozenset(
    {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls", "net_prio", "hugetlb"}
    | {"perf_event", "rdma", "misc"}
)
