# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What libvirt has no word for: <covirt:container> inside <metadata>."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from covirt.virtocid.driver.domain_xml.model_health import HealthSettings
from covirt.virtocid.driver.domain_xml.model_restart import RestartSettings
from covirt.virtocid.driver.domain_xml.model_secrets import GivenSecret
from covirt.virtocid.driver.domain_xml.model_volumes import DiscardedVolume, VolumeMapping

UNLIMITED: Final = 2**64 - 1  # RLIM_INFINITY as the OCI runtime specification writes it
UNCONFINED: Final = "unconfined"  # the value of ``seccomp`` that switches the filter off


class RootLayer(StrEnum):
    """What becomes of the files a container changed in its root file system when it stops."""

    KEPT = "kept"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLimit:
    """One rlimit, ``name`` as in RLIMIT_NOFILE. UNLIMITED is no limit."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsSettings:
    """resolv.conf inside the container; empty means the host's."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceSettings:
    """How an interface gets its addresses; None is the default. Without ``mac``: all that are not named by one."""

    mac: str | None = None
    dhcp: bool | None = None  # None: when it has no <ip>
    gateway: bool | None = None  # False: take no default route from the DHCP server


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSettings:
    """All of <covirt:container>; None and empty mean virtocid's or the image's default."""

    image: str | None = None  # absolute path of an image file, or a name in the image store
    runtime: str | None = None
    hostname: str | None = None
    stop_signal: str | None = None  # "SIGTERM", "SIGRTMIN+3": see signals.signal_number
    stop_timeout_seconds: int | None = None
    pids_limit: int | None = None
    reaper: bool = False  # run an init that reaps orphans in front of the process
    terminal: bool | None = None  # None: a terminal when the XML has a <console>
    capabilities_add: tuple[str, ...] = ()  # "CAP_NET_ADMIN"
    capabilities_drop: tuple[str, ...] = ()
    seccomp: str | None = None  # path of a profile, or UNCONFINED
    no_new_privileges: bool = True
    readonly_root: bool = False
    root_layer: RootLayer | None = None
    root_disk: str | None = None  # target name of the disk that holds the root layer
    volumes: tuple[VolumeMapping, ...] = ()
    discarded_volumes: tuple[DiscardedVolume, ...] = ()
    secrets: tuple[GivenSecret, ...] = ()
    rlimits: tuple[ResourceLimit, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    shm_size_bytes: int | None = None
    dns: DnsSettings = DnsSettings()
    restart: RestartSettings | None = None  # None: what <on_poweroff> and <on_crash> say
    health: HealthSettings | None = None  # None: what the image says
    interfaces: tuple[InterfaceSettings, ...] = ()
