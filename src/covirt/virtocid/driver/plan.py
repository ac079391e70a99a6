# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From a domain's XML and its image's config to what the OCI layer is asked for. Pure: nothing is made here."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from covirt.oci.capabilities import capability_set
from covirt.oci.etc_files import usable_nameservers
from covirt.oci.idmap import IdMap, IdRange
from covirt.oci.image.model import ContainerImage
from covirt.oci.limits import Rlimit
from covirt.oci.resources import Resources
from covirt.oci.seccomp import load_profile
from covirt.oci.spec import DEFAULT_SHM_BYTES, Mount, SpecRequest
from covirt.oci.users import ResolvedUser
from covirt.virtocid.config import ContainerConfig
from covirt.virtocid.driver.domain_xml import model
from covirt.virtocid.driver.domain_xml.model import UNCONFINED, UNLIMITED, DomainConfig
from covirt.virtocid.driver.errors import BadArgument, NothingToRun
from covirt.virtocid.driver.id_pool import RANGE_SIZE
from covirt.virtocid.driver.resources import resources_of

_NOT_IN_A_HOSTNAME: Final = re.compile(r"[^A-Za-z0-9.-]+")
_HOSTNAME_LIMIT: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What exists by the time config.json is written."""

    rootfs: Path
    user: ResolvedUser
    idmap: IdMap
    user_namespace: Path
    network_namespace: Path
    cgroups_path: str
    mounts: tuple[Mount, ...]
    secret_environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a start needs to know beside the places it is given."""

    config: DomainConfig
    image: ContainerImage
    defaults: ContainerConfig

    @property
    def hostname(self) -> str:
        """See host_name()."""
        return host_name(self.config)

    @property
    def user(self) -> str:
        """NAME[:GROUP] to be looked up inside the image."""
        process = self.config.process
        if process.user is None and process.group is None:
            return self.image.config.user
        user = process.user or self.image.config.user.partition(":")[0]
        return f"{user or '0'}:{process.group}" if process.group else user

    @property
    def arguments(self) -> tuple[str, ...]:
        """<init> replaces entrypoint and command of the image; <initarg> alone replaces the command."""
        process, image = self.config.process, self.image.config
        if process.init is not None:
            return (process.init, *process.arguments)
        return (*image.entrypoint, *(process.arguments or image.command))

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """The image's, with the XML's over it."""
        return tuple({**dict(self.image.config.environment), **dict(self.config.process.environment)}.items())

    @property
    def working_directory(self) -> str:
        return self.config.process.directory or self.image.config.working_directory or "/"

    @property
    def capabilities(self) -> tuple[str, ...]:
        settings = self.config.settings
        return capability_set(add=settings.capabilities_add, drop=settings.capabilities_drop)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(address.cidr for interface in self.config.interfaces for address in interface.addresses)

    @property
    def nameservers(self) -> tuple[str, ...]:
        """The XML's, else those of the host that a container can reach; a DHCP server's come later."""
        return self.config.settings.dns.nameservers or host_nameservers()

    @property
    def _readonly_image(self) -> bool:
        root = self.config.image_filesystem
        return root is not None and root.readonly

    def check(self) -> None:
        """Raise for what can be known to be wrong before anything is made."""
        if not self.arguments:
            raise NothingToRun(name=self.config.name)
        self.seccomp()
        self.resources()

    def seccomp(self) -> dict[str, Any] | None:
        """The system call filter; None only where the XML says so. Raises SeccompProfileMissing."""
        chosen = self.config.settings.seccomp
        if chosen == UNCONFINED:
            return None
        return load_profile(self.capabilities, path=Path(chosen) if chosen else self.defaults.seccomp_profile)

    @property
    def memory_mounts(self) -> tuple[Mount, ...]:
        """<filesystem type='ram'>: tmpfs of the container's own, counted as its memory."""
        return tuple(
            Mount(
                source="tmpfs",
                destination=filesystem.target,
                filesystem="tmpfs",
                options=(
                    "nosuid",
                    "nodev",
                    "mode=1777",
                    *(["ro"] if filesystem.readonly else []),
                    *([f"size={filesystem.size_bytes}"] if filesystem.size_bytes else []),
                ),
            )
            for filesystem in self.config.filesystems
            if filesystem.type == "ram"
        )

    def complete(self, places: Places) -> SpecRequest:
        """The whole request for config.json, once every place is known. Raises what the OCI layer raises."""
        settings = self.config.settings
        return SpecRequest(
            owner=self.config.name,
            hostname=self.hostname,
            arguments=self.arguments,
            rootfs=places.rootfs,
            user=places.user,
            idmap=places.idmap,
            user_namespace=places.user_namespace,
            network_namespace=places.network_namespace,
            cgroups_path=places.cgroups_path,
            seccomp=self.seccomp(),
            environment=tuple({**dict(self.environment), **dict(places.secret_environment)}.items()),
            working_directory=self.working_directory,
            terminal=self.config.terminal,
            mounts=places.mounts,
            resources=self.resources(),
            capabilities=self.capabilities,
            no_new_privileges=settings.no_new_privileges,
            rlimits=tuple(_rlimit(limit) for limit in settings.rlimits),
            sysctls=settings.sysctls,
            shm_size_bytes=settings.shm_size_bytes or DEFAULT_SHM_BYTES,
            reaper=settings.reaper,
            readonly_root=settings.readonly_root or self._readonly_image,
        )

    def resources(self) -> Resources:
        """Raises BadArgument when <blkiotune> names what is no disk of this host."""
        return resources_of(self.config, self.defaults)


def host_name(config: DomainConfig) -> str:
    """The one in the XML, else the domain's name made into a host name."""
    if config.settings.hostname:
        return config.settings.hostname
    return _NOT_IN_A_HOSTNAME.sub("-", config.name)[:_HOSTNAME_LIMIT].strip("-.") or "container"


def host_nameservers() -> tuple[str, ...]:
    """Those of the host that a container can reach."""
    try:
        return usable_nameservers(Path("/etc/resolv.conf").read_text(errors="replace"))
    except OSError:
        return ()


def _rlimit(limit: model.ResourceLimit) -> Rlimit:
    def number(value: int) -> int | None:
        return None if value == UNLIMITED else value

    return Rlimit(name=limit.name.removeprefix("RLIMIT_").lower(), soft=number(limit.soft), hard=number(limit.hard))


def id_map(config: DomainConfig, first_id: int) -> IdMap:
    """The mapping of the XML's <idmap>, else 65,536 ids from the domain's range. Raises BadIdMap, BadArgument."""
    if config.idmap is None:
        return IdMap(uid_first=first_id, gid_first=first_id, count=RANGE_SIZE)
    uid, gid = config.idmap.uid, config.idmap.gid
    if uid[0].start != 0 or gid[0].start != 0 or uid[0].count != gid[0].count:
        raise BadArgument(
            what="<idmap> must begin with one <uid> and one <gid> that start at 0 and have the same count"
        )
    return IdMap(
        uid_first=uid[0].target,
        gid_first=gid[0].target,
        count=uid[0].count,
        more_uids=_ranges(uid[1:]),
        more_gids=_ranges(gid[1:]),
    )


def _ranges(ranges: tuple[model.IdRange, ...]) -> tuple[IdRange, ...]:
    return tuple(IdRange(inside=each.start, outside=each.target, count=each.count) for each in ranges)
