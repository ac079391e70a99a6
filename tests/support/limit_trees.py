# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Directories of plain files that stand for a container's cgroup, as kernels fill it in when it is made."""

from pathlib import Path
from typing import Final

from covirt.oci.cgroup_layout import CgroupLayout

PLACE: Final = "/x/container"
_NO_LIMIT: Final = "9223372036854771712"  # v1's, as Linux 6.18 writes it

V1_FILES: Final = {
    "memory/memory.limit_in_bytes": _NO_LIMIT,
    "memory/memory.memsw.limit_in_bytes": _NO_LIMIT,
    "memory/memory.soft_limit_in_bytes": _NO_LIMIT,
    "memory/memory.usage_in_bytes": "4096",
    "cpu/cpu.shares": "1024",
    "cpu/cpu.cfs_period_us": "100000",
    "cpu/cpu.cfs_quota_us": "-1",
    "cpuset/cpuset.cpus": "0-3",
    "cpuset/cpuset.mems": "0",
    "cpuset/cpuset.memory_migrate": "0",
    "cpuset/cpuset.effective_cpus": "0-3",
    "cpuset/cpuset.effective_mems": "0",
    "pids/pids.max": "max",
    "blkio/blkio.bfq.weight": "default 100",
    "blkio/blkio.bfq.weight_device": "default 100",
    "blkio/blkio.throttle.read_bps_device": "",
    "blkio/blkio.throttle.write_bps_device": "",
    "blkio/blkio.throttle.read_iops_device": "",
    "blkio/blkio.throttle.write_iops_device": "",
}
V2_FILES: Final = {
    "memory.max": "max",
    "memory.high": "max",
    "memory.low": "0",
    "memory.swap.max": "max",
    "memory.current": "4096",
    "cpu.weight": "100",
    "cpu.max": "max 100000",
    "cpuset.cpus": "",
    "cpuset.mems": "",
    "cpuset.cpus.effective": "0-3",
    "cpuset.mems.effective": "0",
    "pids.max": "max",
    "io.weight": "default 100",
    "io.max": "",
}


def v1_tree(root: Path, place: str = PLACE) -> CgroupLayout:
    """The v1 trees below ``root``, each a directory; the parent of the container has the CPUs 0 to 3."""
    for name, text in V1_FILES.items():
        controller, _, file = name.partition("/")
        _write(root / controller / place.lstrip("/") / file, text)
        if file in ("cpuset.cpus", "cpuset.mems"):
            _write((root / controller / place.lstrip("/")).parent / file, text)
    names = {name.partition("/")[0] for name in V1_FILES}
    return CgroupLayout(version=1, hierarchies={name: str(root / name) for name in names}, unified=None)


def v2_tree(root: Path, place: str = PLACE) -> CgroupLayout:
    for name, text in V2_FILES.items():
        _write(root / place.lstrip("/") / name, text)
    return CgroupLayout(version=2, hierarchies={}, unified=str(root))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def read_files(layout: CgroupLayout, place: str = PLACE) -> dict[str, str]:
    """Every file's content by its name."""
    mounts = [layout.unified] if layout.unified else list(layout.hierarchies.values())
    directories = [Path(f"{mount}{place}") for mount in mounts]
    return {file.name: file.read_text().strip() for each in directories for file in each.iterdir() if file.is_file()}
