# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The file systems that a container has: its root and what is mounted for it, without the kernel's own."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from covirt.common.mountinfo import MountEntry, parse_line
from covirt.common.process_identity import alive
from covirt.oci.inside import Inside
from covirt.virtocid.driver.agent.arguments import Arguments
from covirt.virtocid.driver.agent.command import Call, Command, Commands, Json
from covirt.virtocid.driver.agent.errors import AgentUnresponsive
from covirt.virtocid.driver.agent.texts import decoded
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.mounts import disk_mount, volume_disks
from covirt.virtocid.driver.run import Run

_MOUNTINFO_BYTES: Final = 1024 * 1024  # a container may have as many mounts as it likes
_MOST: Final = 100
_LONGEST_PATH: Final = 1024
_KERNELS_OWN: Final = ("/proc", "/sys", "/dev")
# File systems that hold no files of anybody's.
_VIRTUAL: Final = frozenset(
    {
        "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
        "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs",
        "tracefs",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFilesystem:
    """As the container sees it. ``name``: its device, or its kind for one without. ``disk``: as in the XML, "vda"."""

    mountpoint: str
    name: str
    kind: str
    total_bytes: int
    used_bytes: int
    disk: str | None = None


def filesystems(call: Call, inside: Inside) -> tuple[GuestFilesystem, ...]:
    """What is mounted, in the order in which it was. Raises AgentUnresponsive."""
    mounts = own_mounts(_mount_table(call.run).splitlines())
    disks = _disks(call.run.config)
    spaces = inside.space([entry.target for entry in mounts], seconds=call.seconds)
    return tuple(
        GuestFilesystem(
            mountpoint=decoded(entry.target),
            name=disks.get(entry.target) or _name(entry),
            kind=entry.filesystem,
            total_bytes=space.total_bytes,
            used_bytes=space.used_bytes,
            disk=disks.get(entry.target),
        )
        for entry, space in zip(mounts, spaces, strict=True)
        if space is not None  # a single file, or it cannot be reached any more
    )


def _disks(config: DomainConfig) -> dict[str, str]:
    """By the place at which the XML wants each disk."""
    mounts = {disk.target: disk_mount(config, disk) for disk in volume_disks(config)}
    return {mount.target: name for name, mount in mounts.items() if mount is not None}


def own_mounts(lines: Iterable[bytes]) -> list[MountEntry]:
    """Of a mount table, the newest at each place; the kernel's own are left out, and lines that do not parse."""
    found: dict[str, MountEntry] = {}
    for line in lines:
        try:
            entry = parse_line(line)
        except (ValueError, IndexError):
            continue
        found.pop(entry.target, None)
        if entry.filesystem not in _VIRTUAL and not _is_kernels(entry.target) and len(entry.target) < _LONGEST_PATH:
            found[entry.target] = entry
    return list(found.values())[:_MOST]


def _is_kernels(target: str) -> bool:
    return any(target == place or target.startswith(f"{place}/") for place in _KERNELS_OWN)


def _name(entry: MountEntry) -> str:
    return decoded(os.path.basename(entry.source)) if entry.source.startswith("/dev/") else entry.filesystem


def _mount_table(run: Run) -> bytes:
    process = run.container
    if process is None:
        raise AgentUnresponsive(name=run.config.name, reason="has ended")
    try:
        descriptor = os.open(f"/proc/{process.pid}/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not alive(process.pid, process.start_time):
                raise ProcessLookupError(3, "it has ended")
            return _read(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise AgentUnresponsive(name=run.config.name, reason=f"has no mount table: {error.strerror}") from error


def _read(descriptor: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < _MOUNTINFO_BYTES and (part := os.read(descriptor, 65536)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _fs_info(call: Call, _arguments: Arguments) -> Json:
    with call.guest.inside(seconds=call.seconds) as inside:
        found = filesystems(call, inside)
    return [
        {
            "name": each.name,
            "mountpoint": each.mountpoint,
            "type": each.kind,
            "used-bytes": each.used_bytes,
            "total-bytes": each.total_bytes,
            "disk": [],
        }
        for each in found
    ]


COMMANDS: Final[Commands] = {"guest-get-fsinfo": Command(run=_fs_info)}
