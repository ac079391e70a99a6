# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which element comes before which, as in libvirt's own output."""

from collections.abc import Callable
from typing import Final

from lxml import etree

# The order virDomainDefFormat writes, so that our output compares well with libvirt's; what is not named goes last.
_ORDER: Final[dict[str, tuple[str, ...]]] = {
    "domain": (
        "name", "uuid", "genid", "title", "description", "metadata", "maxMemory", "memory", "currentMemory",
        "blkiotune", "memtune", "memoryBacking", "vcpu", "vcpus", "iothreads", "iothreadids", "defaultiothread",
        "cputune", "numatune", "resource", "sysinfo", "bootloader", "bootloader_args", "os", "idmap", "features",
        "cpu", "clock", "on_poweroff", "on_reboot", "on_crash", "on_lockfailure", "pm", "perf", "devices",
        "seclabel",
    ),
    "devices": (
        "emulator", "disk", "controller", "lease", "filesystem", "interface", "smartcard", "serial", "parallel",
        "console", "channel", "input", "tpm", "graphics", "sound", "audio", "video", "hostdev", "redirdev",
        "redirfilter", "hub", "watchdog", "memballoon", "rng", "nvram", "panic", "shmem", "memory", "iommu",
        "vsock", "crypto", "pstore",
    ),
    "cputune": (
        "shares", "period", "quota", "global_period", "global_quota", "emulator_period", "emulator_quota",
        "iothread_period", "iothread_quota", "vcpupin", "emulatorpin", "iothreadpin",
    ),
    "disk": (
        "driver", "auth", "source", "backingStore", "mirror", "target", "iotune", "readonly", "shareable",
        "transient", "serial", "wwn", "vendor", "product", "encryption", "boot", "alias", "address",
    ),
    "filesystem": (
        "driver", "binary", "source", "target", "readonly", "space_hard_limit", "space_soft_limit", "alias",
        "address",
    ),
    "interface": (
        "mac", "source", "vlan", "virtualport", "ip", "route", "script", "bandwidth", "target", "guest", "model",
        "driver", "filterref", "tune", "link", "mtu", "coalesce", "boot", "rom", "alias", "address",
    ),
    "console": (
        "source", "protocol", "log", "target", "alias", "address",
    ),
}  # fmt: skip
_RANK: Final = {parent: {tag: rank for rank, tag in enumerate(tags)} for parent, tags in _ORDER.items()}


def rank_in(parent: str) -> Callable[[etree._Element], int] | None:
    """A sort key for the children of an element with this tag; None when their order is their author's."""
    rank = _RANK.get(parent)
    return None if rank is None else lambda child: rank.get(str(child.tag), len(rank))
