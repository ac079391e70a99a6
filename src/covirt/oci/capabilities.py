# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Linux capabilities: their names, and the set that a container has by default."""

from collections.abc import Iterable
from typing import Final

from covirt.oci.isolation_errors import BadSpecRequest

# Podman's default_capabilities (containers.conf(5)).
DEFAULT_CAPABILITIES: Final = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)

# linux/capability.h
ALL_CAPABILITIES: Final = frozenset(
    {
        "CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "CAP_AUDIT_WRITE", "CAP_BLOCK_SUSPEND", "CAP_BPF",
        "CAP_CHECKPOINT_RESTORE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER",
        "CAP_FSETID", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_KILL", "CAP_LEASE", "CAP_LINUX_IMMUTABLE",
        "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE",
        "CAP_NET_BROADCAST", "CAP_NET_RAW", "CAP_PERFMON", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
        "CAP_SETUID", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE", "CAP_SYS_NICE",
        "CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
        "CAP_SYS_TTY_CONFIG", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    }
)  # fmt: skip


def capability(name: str) -> str:
    """``"net_raw"`` or ``"CAP_NET_RAW"`` -> ``"CAP_NET_RAW"``. Raises BadSpecRequest."""
    full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
    if full not in ALL_CAPABILITIES:
        raise BadSpecRequest(what="capability", value=name, reason="Linux has none of that name")
    return full


def capability_set(*, add: Iterable[str] = (), drop: Iterable[str] = ()) -> tuple[str, ...]:
    """The default set with changes; ``ALL`` in either means every capability. What is added wins."""
    added, dropped = set(add), set(drop)
    base = set() if "ALL" in {name.upper() for name in dropped} else set(DEFAULT_CAPABILITIES)
    base -= {capability(name) for name in dropped if name.upper() != "ALL"}
    if "ALL" in {name.upper() for name in added}:
        return tuple(sorted(ALL_CAPABILITIES))
    return tuple(sorted(base | {capability(name) for name in added}))
