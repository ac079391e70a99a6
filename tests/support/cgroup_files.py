# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the kernel's files say of a container: read as a person would, with none of covirt's code."""

from typing import Final

from tests.support.cgroups import CGROUP_MOUNT
from tests.support.virtocid import Virtocid

# v1; those that a kernel has not are left out.
FILES: Final = (
    "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes", "cpu.shares",
    "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpuset.cpus", "cpuset.mems", "pids.max", "blkio.bfq.weight",
    "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device", "blkio.throttle.read_iops_device",
    "blkio.throttle.write_iops_device", "devices.list", "freezer.state",
)  # fmt: skip


def limit_files(virtocid: Virtocid, name: str) -> dict[str, str]:
    """The content of each file, by its name."""
    uuid = virtocid.tell("domuuid", name)
    found = {file: _read(virtocid, uuid, file) for file in FILES}
    return {file: text for file, text in found.items() if text is not None}


def cgroup_file(virtocid: Virtocid, name: str, file: str) -> str:
    """One file, which must be there."""
    text = _read(virtocid, virtocid.tell("domuuid", name), file)
    assert text is not None, file
    return text


def _read(virtocid: Virtocid, uuid: str, file: str) -> str | None:
    pattern = f"{file.partition('.')[0]}/covirt-{virtocid.root.id}/{uuid}-*/container/{file}"
    return next((place.read_text().strip() for place in CGROUP_MOUNT.glob(pattern)), None)
