# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Everything the driver works with, built once at start-up and handed around."""

import logging
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from covirt.common.errors import Denied, Error
from covirt.common.root import Root, boot_id
from covirt.oci.bundle import Bundles, MountedBundles
from covirt.oci.cgroup import CgroupReader
from covirt.oci.image.model import ContainerImage
from covirt.oci.image.store import ImageStore
from covirt.oci.monitor import ConmonMonitor, Monitor
from covirt.oci.namespaces import NamespaceFactory, NamespaceMaker
from covirt.oci.processes import ExitWatcher
from covirt.oci.runtime import Runtime
from covirt.oci.runtimes.registry import Runtimes, load_runtimes
from covirt.oci.shared_images import SharedImages
from covirt.oci.supervisor import Supervisor, supervisor_for
from covirt.oci.volume.disks import Disks
from covirt.oci.volume.views import AnyVolume, Volume
from covirt.virtocid.config import VirtocidConfig
from covirt.virtocid.driver.addressing import Addressing, DhcpAddressing
from covirt.virtocid.driver.counters import Counters
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.model import AccessMode, DomainConfig
from covirt.virtocid.driver.errors import DirectoryNotAllowed, LogNotAllowed, NoImage
from covirt.virtocid.driver.id_pool import IdPool
from covirt.virtocid.driver.kept_volumes import KeptVolumes
from covirt.virtocid.driver.mounts import volumes_of
from covirt.virtocid.driver.network import HostNetwork, Network
from covirt.virtocid.driver.registry import Domains
from covirt.virtocid.driver.secrets.files import SecretFiles
from covirt.virtocid.driver.secrets.secrets import Secrets
from covirt.virtocid.driver.slice_limits import slice_resources
from covirt.virtocid.driver.store import DomainStore, RunStore
from covirt.virtocid.driver.timer import Timer
from covirt.virtocid.events import EventBus

log = logging.getLogger(__name__)

_WRITABLE: Final = ":rw"  # ends an entry of allowed_directories


class DirectoryReadOnly(Denied):
    template = (
        "host directory '{path}' may be shown for reading only; add <readonly/>, or allow writing in the "
        "configuration (container.allowed_directories: '{entry}')"
    )


class LogRedirectable(Denied):
    template = (
        "console log {path} is below {directory}, which others than root can change; choose one of root's, or "
        "leave <log> away for the default"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts, and the few questions that need several of them."""

    root: Root
    config: VirtocidConfig
    bus: EventBus
    runtimes: Runtimes
    images: ImageStore
    bundles: Bundles
    ids: IdPool
    namespaces: NamespaceMaker
    supervisor: Supervisor
    monitor: Monitor
    reader: CgroupReader
    watcher: ExitWatcher
    network: HostNetwork
    addressing: Addressing
    store: DomainStore
    runs: RunStore
    secrets: Secrets
    domains: Domains = field(default_factory=Domains)
    boot_id: str = field(default_factory=boot_id)
    timer: Timer = field(default_factory=Timer)
    counters: Counters = field(default_factory=Counters)

    @property
    def kept_volumes(self) -> KeptVolumes:
        return KeptVolumes(self.root.state_dir)

    @property
    def left(self) -> RunStore:
        """Runs that are over, and of which something could not be removed yet."""
        return RunStore(self.root.run_dir / "left")

    def limit_slice(self) -> None:
        """Bound what all containers together may use, as configured; what an earlier configuration set is undone."""
        self.supervisor.limit_slice(slice_resources(self.config.slice))

    def runtime_of(self, config: DomainConfig) -> Runtime:
        """Raises UnknownRuntime, UnusableRuntime."""
        return self.runtimes.named(config.runtime or self.config.container.default_runtime)

    def image_of(self, config: DomainConfig) -> ContainerImage:
        """The domain's container image; a file that no import here made is verified and repacked first.

        Raises NoImage and what ImageStore raises.
        """
        if config.image is None:
            raise NoImage(name=config.name)
        image = self.images.find(config.image)
        if self.images.is_trusted(image.path):
            return image
        log.warning("The image was not imported here, so it is verified and packed anew path=%s", image.path)
        return self.images.adopt(image.path)

    def hold_images(self, domain: Domain) -> None:
        """Let a domain hold the images that its definition and its run use, and no other any more."""
        paths = self._images_of(domain, {})
        try:
            if paths is not None:
                self.images.hold_only(paths, domain.uuid)
        except Error as error:  # it holds one too many, which the next start-up mends
            log.warning("Image marks are left as they are domain=%s: %s", domain.name, error)

    def reconcile_images(self) -> None:
        """At start-up, once all domains and runs are known: a killed daemon may have left marks that are not true."""
        trusted: dict[str, Path | None] = {}  # most domains share few images
        marks = {domain.uuid: self._images_of(domain, trusted) for domain in self.domains.all()}
        unreadable = (
            uuid
            for uuid in self.images.holders() - marks.keys()
            if self.store.has_definition(uuid) or self.runs.directory(uuid).exists()
        )
        self.images.reconcile(marks | dict.fromkeys(unreadable))

    def _images_of(self, domain: Domain, trusted: dict[str, Path | None]) -> tuple[Path, ...] | None:
        """None when that cannot be told without packing a foreign image anew. ``trusted`` remembers, by image."""
        in_use = () if domain.run is None else (Path(domain.run.image_path),)
        name = domain.next_config.image
        if name is None:
            return in_use
        if name not in trusted:
            trusted[name] = self._trusted_path(name)
        path = trusted[name]
        return None if path is None else (path, *in_use)

    def _trusted_path(self, image: str) -> Path | None:
        try:
            path = self.images.find(image).path
            return path if self.images.is_trusted(path) else None
        except Error:
            return None

    def console_log(self, uuid: UUID, config: DomainConfig, *, persistent: bool) -> Path:
        """Where conmon writes what the container says. Raises LogNotAllowed, LogRedirectable."""
        chosen = next((console.log_file for console in config.consoles if console.log_file), None)
        if chosen is not None:
            allowed = self.root.path / "var/log"
            path = Path(chosen)
            if not path.is_absolute() or not path.resolve().is_relative_to(allowed):
                raise LogNotAllowed(path=chosen, allowed=allowed)
            path = path.resolve()
            _require_root_owned(path, allowed)
            return path
        directory = self.store.directory(uuid) if persistent else self.runs.directory(uuid)
        return directory / "console.log"

    def mounts(
        self, uuid: UUID, config: DomainConfig, image: ContainerImage, *, persistent: bool
    ) -> tuple[AnyVolume, ...]:
        """Everything of the host that shows in the container. Raises what volumes() raises."""
        kept = self.kept_volumes.directory(uuid) if persistent else None
        return (*self.volumes(config), *volumes_of(config, image, kept=kept))

    def stop_seconds(self, config: DomainConfig) -> float:
        """How long a container may take to end when it is asked to."""
        seconds = config.settings.stop_timeout_seconds
        return self.config.container.stop_timeout_seconds if seconds is None else seconds

    def volumes(self, config: DomainConfig) -> tuple[Volume, ...]:
        """<filesystem type='mount'>: host directories that the configuration allows.

        Raises DirectoryNotAllowed, DirectoryReadOnly.
        """
        return tuple(
            Volume(
                source=self._allowed(filesystem.source, writable=not filesystem.readonly),
                destination=filesystem.target,
                read_only=filesystem.readonly,
                idmapped=filesystem.access is not AccessMode.MAPPED,
            )
            for filesystem in config.filesystems
            if filesystem.type in ("mount", "bind")
        )

    def _allowed(self, source: str | None, *, writable: bool) -> Path:
        path = Path(source or "")
        allowed = self.config.container.allowed_directories
        real = path.resolve()
        fitting = [each for each in allowed if real.is_relative_to(Path(each.removesuffix(_WRITABLE)).resolve())]
        if not path.is_absolute() or not fitting:
            raise DirectoryNotAllowed(path=source, allowed=", ".join(allowed) or "none")
        if writable and not any(each.endswith(_WRITABLE) for each in fitting):
            raise DirectoryReadOnly(path=source, entry=f"{fitting[0]}{_WRITABLE}")
        return real


def _require_root_owned(path: Path, top: Path) -> None:
    """Or somebody could put a link there later, and conmon would write, as root, to any file of the host."""
    for directory in path.parents:
        try:
            status = directory.stat()
        except FileNotFoundError:
            continue  # it will be ours
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise LogRedirectable(path=path, directory=directory)
        if directory == top:
            return


def build_services(root: Root, config: VirtocidConfig, bus: EventBus) -> Services:
    """Build all parts; nothing runs yet but the exit watcher's thread."""
    supervisor = supervisor_for(root.id)
    if not supervisor.layout.counts_swap():
        log.warning("This kernel does not count swap by cgroup: containers may swap without a limit")
    watcher = ExitWatcher()
    watcher.start()
    network = Network(root, allowed_bridges=config.network.allowed_bridges)
    return Services(
        root=root,
        config=config,
        bus=bus,
        runtimes=load_runtimes(
            root, config.runtime_configs, timeout_seconds=config.container.runtime_timeout_seconds
        ),
        images=ImageStore(root),
        bundles=MountedBundles(SharedImages(root.run_dir), Disks(root.run_dir, root.state_dir)),
        ids=IdPool(first=config.ids.first, ranges=config.ids.ranges, root_id=root.id),
        namespaces=NamespaceFactory(),
        supervisor=supervisor,
        monitor=ConmonMonitor(timeout_seconds=config.container.runtime_timeout_seconds),
        reader=CgroupReader(supervisor.layout),
        watcher=watcher,
        network=network,
        addressing=DhcpAddressing(root.run_dir, supervisor=supervisor, network=network, watcher=watcher),
        store=DomainStore(root.state_dir),
        runs=RunStore(root.run_dir),
        secrets=Secrets(SecretFiles(state_dir=root.state_dir, run_dir=root.run_dir, boot_id=boot_id()), bus),
    )
