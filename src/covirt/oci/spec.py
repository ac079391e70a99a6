# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""config.json: what a runtime is told to run, with every isolation on unless the request loosens it.

Format: OCI runtime specification 1.0.2. The lists of masked and read-only paths are Podman's.
"""

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from covirt.oci.capabilities import DEFAULT_CAPABILITIES, capability
from covirt.oci.idmap import IdMap, spec_mappings
from covirt.oci.isolation_errors import BadSpecRequest, ReaperMissing
from covirt.oci.limits import DEFAULT_RLIMITS, Rlimit, clamped_oom_score_adj, spec_rlimit
from covirt.oci.resources import Resources, spec_resources
from covirt.oci.users import ResolvedUser

log = logging.getLogger(__name__)

OCI_VERSION: Final = "1.0.2"
DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REAPER: Final = Path("/usr/bin/catatonit")
# In /dev, which is always a tmpfs of the container's own: the image's files are not touched.
_REAPER_INSIDE: Final = "/dev/covirt-init"

MASKED_PATHS: Final = (
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
)
READONLY_PATHS: Final = (
    "/proc/asound",
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
# Lets every group send ICMP echo without CAP_NET_RAW, as Podman's containers.conf does.
DEFAULT_SYSCTLS: Final = (("net.ipv4.ping_group_range", "0 0"),)
# Only these are per container (namespaces(7)); any other would change the host.
_SYSCTL: Final = re.compile(
    r"(net\.[\w.*/:-]+|fs\.mqueue\.\w+|kernel\.(shm_rmid_forced|shmmax|shmall|shmmni|msgmax|msgmnb|msgmni|sem))"
)
_HOSTNAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?")
DEFAULT_SHM_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One entry of "mounts"; ``source`` is a path of the host for a bind, otherwise a word for the mount table."""

    source: str
    destination: str
    filesystem: str = "bind"
    options: tuple[str, ...] = ("bind", "nosuid", "nodev")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRequest:
    """All that config.json says. The defaults are the isolated ones.

    ``owner`` names the container in the log. ``seccomp`` is what load_profile() answered, or None for no filter.
    """

    owner: str
    hostname: str
    arguments: tuple[str, ...]
    rootfs: Path
    user: ResolvedUser
    idmap: IdMap
    user_namespace: Path
    network_namespace: Path
    cgroups_path: str
    seccomp: dict[str, Any] | None
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # it may hold secrets
    working_directory: str = "/"
    terminal: bool = False
    mounts: tuple[Mount, ...] = ()
    resources: Resources = field(default_factory=Resources)
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    no_new_privileges: bool = True
    masked_paths: tuple[str, ...] = MASKED_PATHS
    readonly_paths: tuple[str, ...] = READONLY_PATHS
    rlimits: tuple[Rlimit, ...] = ()
    oom_score_adj: int = 0
    sysctls: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    shm_size_bytes: int = DEFAULT_SHM_BYTES
    reaper: bool = False
    readonly_root: bool = False


def build_spec(request: SpecRequest) -> dict[str, Any]:
    """The content of config.json. Logs what the request loosens.

    Raises BadSpecRequest, UnmappedUser, ReaperMissing.
    """
    _check(request)
    what = loosened(request)
    if what:
        log.warning("Container is less isolated than by default owner=%s what=%s", request.owner, ", ".join(what))
    return {
        "ociVersion": OCI_VERSION,
        "process": _process(request),
        "root": {"path": str(request.rootfs), "readonly": request.readonly_root},
        "hostname": request.hostname,
        "mounts": _mounts(request),
        "annotations": dict(request.annotations),
        "linux": _linux(request),
    }


def loosened(request: SpecRequest) -> tuple[str, ...]:
    """What is weaker than the default, in words; empty for a container with every isolation on."""
    extra = set(request.capabilities) - set(DEFAULT_CAPABILITIES)
    unmasked = set(MASKED_PATHS) - set(request.masked_paths)
    writable = set(READONLY_PATHS) - set(request.readonly_paths)
    words = [
        ("no system call filter", request.seccomp is None),
        ("new privileges allowed", not request.no_new_privileges),
        (f"capabilities {' '.join(sorted(extra))}", bool(extra)),
        (f"unmasked {' '.join(sorted(unmasked))}", bool(unmasked)),
        (f"writable {' '.join(sorted(writable))}", bool(writable)),
        ("no limit of processes", not request.resources.pids_limit or request.resources.pids_limit < 0),
        ("root of the container is root of the host", request.idmap.maps_host_root),
        (f"oom_score_adj {request.oom_score_adj}", request.oom_score_adj < 0),
    ]
    return tuple(text for text, true in words if true)


def _check(request: SpecRequest) -> None:
    if not request.arguments or not request.arguments[0]:
        raise BadSpecRequest(what="command", value="", reason="the image names none and the domain gives none")
    if not request.working_directory.startswith("/"):
        raise BadSpecRequest(
            what="working directory", value=request.working_directory, reason="it is no absolute path"
        )
    if not _HOSTNAME.fullmatch(request.hostname):
        raise BadSpecRequest(what="host name", value=request.hostname, reason="use up to 64 letters, digits, - and .")
    for name, _ in request.sysctls:
        if not _SYSCTL.fullmatch(name):
            raise BadSpecRequest(what="sysctl", value=name, reason="it would change the whole host")
    _check_texts(request)
    for mount in request.mounts:
        if not mount.destination.startswith("/") or ".." in mount.destination.split("/"):
            raise BadSpecRequest(what="mount point", value=mount.destination, reason="it is no plain absolute path")
    request.idmap.host_uid(request.user.uid)
    for gid in (request.user.gid, *request.user.additional_gids):
        request.idmap.host_gid(gid)


def _check_texts(request: SpecRequest) -> None:
    for text in (*request.arguments, *(word for pair in request.environment for word in pair)):
        if "\0" in text:
            raise BadSpecRequest(what="argument or environment", value="", reason="it contains a zero byte")
    for name, _ in request.environment:
        if not name or "=" in name:
            raise BadSpecRequest(what="environment name", value=name, reason="it is empty or contains =")


def _process(request: SpecRequest) -> dict[str, Any]:
    names = [capability(name) for name in request.capabilities]
    rlimits = {each.name: (each, True) for each in DEFAULT_RLIMITS}
    rlimits |= {each.name: (each, False) for each in request.rlimits}
    return {
        "terminal": request.terminal,
        "user": {
            "uid": request.user.uid,
            "gid": request.user.gid,
            "additionalGids": list(request.user.additional_gids),
        },
        "args": [*((_REAPER_INSIDE, "--") if request.reaper else ()), *request.arguments],
        "env": _environment(request),
        "cwd": request.working_directory,
        # Nothing is inheritable or ambient: a program gains capabilities by being root inside, or not at all.
        "capabilities": {"bounding": names, "effective": names, "permitted": names},
        "rlimits": [
            spec_rlimit(each, owner=request.owner, by_default=by_default) for each, by_default in rlimits.values()
        ],
        "noNewPrivileges": request.no_new_privileges,
        "oomScoreAdj": clamped_oom_score_adj(request.oom_score_adj, owner=request.owner),
    }


def _environment(request: SpecRequest) -> list[str]:
    values = {"PATH": DEFAULT_PATH, "HOME": request.user.home, "HOSTNAME": request.hostname, "container": "covirt"}
    if request.terminal:
        values["TERM"] = "xterm"
    values.update(request.environment)
    return [f"{name}={value}" for name, value in values.items()]


def _mounts(request: SpecRequest) -> list[dict[str, Any]]:
    mounts = {each.destination: each for each in _default_mounts(request)}
    mounts |= {
        each.destination: each for each in sorted(request.mounts, key=lambda each: each.destination.count("/"))
    }
    if request.reaper:
        if not REAPER.exists():
            raise ReaperMissing(path=REAPER)
        mounts[_REAPER_INSIDE] = Mount(
            source=str(REAPER), destination=_REAPER_INSIDE, options=("bind", "ro", "nosuid", "nodev")
        )
    return [
        {
            "destination": each.destination,
            "type": each.filesystem,
            "source": each.source,
            "options": list(each.options),
        }
        for each in mounts.values()
    ]


def _default_mounts(request: SpecRequest) -> tuple[Mount, ...]:
    secure = ("nosuid", "noexec", "nodev")
    return (
        Mount(source="proc", destination="/proc", filesystem="proc", options=secure),
        Mount(
            source="tmpfs",
            destination="/dev",
            filesystem="tmpfs",
            options=("nosuid", "noexec", "strictatime", "mode=755", "size=65536k")
            if not request.reaper
            else ("nosuid", "strictatime", "mode=755", "size=65536k"),
        ),
        Mount(
            source="devpts",
            destination="/dev/pts",
            filesystem="devpts",
            options=("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        ),
        Mount(source="mqueue", destination="/dev/mqueue", filesystem="mqueue", options=secure),
        Mount(
            source="shm",
            destination="/dev/shm",  # noqa: S108
            filesystem="tmpfs",
            options=(*secure, "mode=1777", f"size={request.shm_size_bytes}"),
        ),
        Mount(source="sysfs", destination="/sys", filesystem="sysfs", options=(*secure, "ro")),
        Mount(
            source="cgroup", destination="/sys/fs/cgroup", filesystem="cgroup", options=(*secure, "relatime", "ro")
        ),
    )


def _linux(request: SpecRequest) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "namespaces": [
            {"type": "pid"},
            {"type": "ipc"},
            {"type": "uts"},
            {"type": "mount"},
            {"type": "cgroup"},
            {"type": "user", "path": str(request.user_namespace)},
            {"type": "network", "path": str(request.network_namespace)},
        ],
        "uidMappings": spec_mappings(request.idmap.uids),
        "gidMappings": spec_mappings(request.idmap.gids),
        "cgroupsPath": request.cgroups_path,
        "resources": spec_resources(request.resources),
        "sysctl": dict((*DEFAULT_SYSCTLS, *request.sysctls)),
        "maskedPaths": list(request.masked_paths),
        "readonlyPaths": list(request.readonly_paths),
    }
    if request.seccomp is not None:
        answer["seccomp"] = request.seccomp
    return answer
