# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virtocid's configuration; the comments are its manual, and ``docs/configuration.md`` is made of them.

``/usr/lib/covirt/virtocid.d/*.toml`` and ``/etc/covirt/virtocid.d/*.toml`` below the root, see common.config.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from covirt.common.config import Between, load_config, setting
from covirt.common.log import check_level
from covirt.common.metrics_server import check_listen
from covirt.common.root import Root
from covirt.oci.runtime import RuntimeConfig

_IDS: Final = 65536  # ids per container
_NO_LIMIT_BYTES: Final = 2**63 - 1


def _connection_names(names: tuple[str, ...]) -> None:
    for name in names:
        if name and not name.startswith(("oci:", "qemu:")):
            raise ValueError(f"may hold names that begin with oci: or qemu:, and has {name!r}")


def _first_id(value: int) -> None:
    if value % _IDS or not _IDS <= value <= 2**32 - 2 * _IDS:
        raise ValueError(f"must be a multiple of {_IDS} from {_IDS} up, so that no host id is shared, and is {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The sockets and who may use them."""

    # The group that may open the read-write socket (0660). Debian's libvirt group manages virtual machines already.
    # Empty: only root may.
    socket_group: str = "libvirt"
    # Names accepted when a client opens a connection. The empty one is a client's probe. "qemu:///system" lets
    # clients in that know no other name (go-libvirt's plain Connect).
    connection_names: tuple[str, ...] = setting(("", "oci:///", "oci:///system"), check=_connection_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeEntry:
    """One program with the OCI runtime command line."""

    # The program: an absolute path, or a name looked up in PATH. Empty: the runtime's own name.
    path: str = ""
    # Global arguments put in front of every command, as in ["--systemd-cgroup"].
    arguments: tuple[str, ...] = ()
    # Which known program it behaves like, when its name does not tell: "runc", "crun", …
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdConfig:
    """Host user and group ids for containers; each gets a range of 65,536."""

    # The first id, a multiple of 65,536. 1879048192 to 2147352575 is what systemd's list of id ranges (UIDS-GIDS)
    # leaves unassigned: above the users of /etc/subuid and systemd-nspawn's own pool, below the half where some
    # programs take ids for negative.
    first: int = setting(1_879_048_192, check=_first_id)
    # How many ranges there are. Each installation (root) takes them in order, from a place of its own.
    ranges: int = setting(4094, check=Between(1, 65534))

    def __post_init__(self) -> None:
        if self.first + self.ranges * _IDS > 2**32 - _IDS:
            raise ValueError(f"run past the last id: {self.ranges} ranges from {self.first} up")


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceDisk:
    """What all containers together may do to one whole disk of the host, per second. Absent: no limit."""

    # Bytes read.
    read_bytes_sec: int | None = setting(None, check=Between(4096, _NO_LIMIT_BYTES))
    # Bytes written.
    write_bytes_sec: int | None = setting(None, check=Between(4096, _NO_LIMIT_BYTES))
    # Reads, of whatever size.
    read_iops_sec: int | None = setting(None, check=Between(1, 4_294_967_295))
    # Writes.
    write_iops_sec: int | None = setting(None, check=Between(1, 4_294_967_295))


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceConfig:
    """What all containers together may use, so that machines and agents keep their share."""

    # Memory in percent of the host's: a container that wants more is ended by the kernel, and no virtual machine.
    memory_percent: int = setting(90, check=Between(1, 100))
    # CPU in percent of all the host's CPUs. Absent: no limit but the weight below.
    cpu_percent: int | None = setting(None, check=Between(1, 100))
    # Weight against the slices beside it: 1024 is one share, as for each of them. Absent: 1024, so that when CPUs are
    # short all containers together get as much as one virtual machine (systemd) or as all of them (without).
    cpu_shares: int | None = setting(None, check=Between(2, 262_144))
    # Processes and threads of all containers together. Absent: half of the process ids the kernel has.
    pids_limit: int | None = setting(None, check=Between(1, 4_194_304))
    # Disks by their path: [slice.disks."/dev/sda"]. With cgroup version 1 only direct and synchronous writes count.
    disks: Mapping[str, SliceDisk] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for path in self.disks:
            if not path.startswith("/dev/"):
                raise ValueError(f"names disks by their path below /dev, and has {path!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Consoles' logs: what a container wrote, kept for domains whose XML names no file of its own."""

    # A log that grew beyond this is renamed to .1 and begun anew, with no line lost.
    max_size_bytes: int = setting(10 * 1024 * 1024, check=Between(4096, _NO_LIMIT_BYTES))
    # How many renamed logs are kept.
    kept: int = setting(1, check=Between(0, 100))
    # How often their sizes are looked at.
    check_seconds: float = setting(10.0, check=Between(1, 3600))
    # How many clients may read logs at once, over the channel org.covirt.log.0.
    max_readers: int = setting(256, check=Between(1, 10_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecConfig:
    """Processes that users start in running containers, by channel or guest agent."""

    # How many may run at once in one container.
    per_container: int = setting(16, check=Between(1, 10_000))
    # How many may run at once in all containers together.
    in_all: int = setting(128, check=Between(1, 10_000))
    # How long the start of one may take before it is given up and ended.
    start_seconds: float = setting(30.0, check=Between(1, 600))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerConfig:
    """Defaults for containers whose XML does not say otherwise."""

    # The runtime of domains that name none.
    default_runtime: str = "runc"
    # The system calls that a container may use. Debian's golang-github-containers-common puts the profile of podman
    # and cri-o here.
    seccomp_profile: Path = Path("/usr/share/containers/seccomp.json")
    # Processes and threads per container: podman's default, enough for a service and too few for a fork bomb.
    pids_limit: int = setting(2048, check=Between(1, 4_194_304))
    # How long a shutdown may take before the client is told that it does. Nothing is killed then, as with a guest.
    stop_timeout_seconds: float = setting(10.0, check=Between(1, 86_400))
    # Host directories that <filesystem type='mount'> may show, each with all below it. Empty: none.
    # For reading; an entry that ends in ":rw" lets containers write, as the host's root: a setuid program that one
    # leaves there is root's for every user who can reach it. Use a file system mounted nosuid.
    allowed_directories: tuple[str, ...] = ()
    # How long one call of a runtime may take. Past it the call is ended and the operation fails.
    runtime_timeout_seconds: float = setting(30.0, check=Between(1, 3600))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """Numbers for Prometheus, at /metrics."""

    # Where: "127.0.0.1:9177", "[::1]:9177", or the path of a unix socket. Empty: nowhere. Whoever can connect learns
    # the names of domains and how they do, and nothing that a read-only client of libvirt may not see.
    listen: str = setting("", check=check_listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """What containers may be connected to."""

    # Linux bridges a domain may name. Empty: every bridge there is.
    allowed_bridges: tuple[str, ...] = ()


def _default_runtimes() -> Mapping[str, RuntimeEntry]:
    return MappingProxyType({"runc": RuntimeEntry(), "crun": RuntimeEntry()})


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtocidConfig:
    """All of it. A table in a file is a field here: ``[ids]``, ``[runtimes.youki]``, …"""

    # Words that the log has from: "debug", "info", "warning", "error".
    log_level: str = setting("info", check=check_level)
    server: ServerConfig = field(default_factory=ServerConfig)
    # Runtimes by name; runc and crun are always among them. One that is missing or unusable is reported in the
    # capabilities, and does no harm.
    runtimes: Mapping[str, RuntimeEntry] = field(default_factory=_default_runtimes)
    container: ContainerConfig = field(default_factory=ContainerConfig)
    ids: IdConfig = field(default_factory=IdConfig)
    slice: SliceConfig = field(default_factory=SliceConfig)
    log: LogConfig = field(default_factory=LogConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    exec: ExecConfig = field(default_factory=ExecConfig)

    @property
    def runtime_configs(self) -> tuple[RuntimeConfig, ...]:
        """The runtimes as the layer below takes them, the default one first."""
        names = sorted(self.runtimes, key=lambda name: (name != self.container.default_runtime, name))
        return tuple(
            RuntimeConfig(name=name, path=entry.path or name, arguments=entry.arguments, kind=entry.kind)
            for name in names
            for entry in (self.runtimes[name],)
        )


def load_virtocid_config(root: Root) -> VirtocidConfig:
    """Raises what common.config.load_config raises."""
    return load_config(VirtocidConfig, (root.vendor_config_dir / "virtocid.d", root.config_dir / "virtocid.d"))
