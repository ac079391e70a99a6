# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""File systems of a running container: mounted into it, and unmounted when nobody inside uses them.

As at a start, a volume is first shown below the run's bundle and the container gets a copy of that mount, so the end
of the run cleans up whatever is there.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from covirt.common.undo import undo_on_failure
from covirt.oci.bundle import volume_view
from covirt.oci.capabilities import capability_set
from covirt.oci.hot_mount import (
    ContainerEnded,
    ContainerMounts,
    MountCovered,
    MountFacts,
    MountHeld,
    container_mounts,
    detached_copy,
    detached_memory,
    mount_id,
)
from covirt.oci.image.model import ContainerImage
from covirt.oci.volume.views import AnyVolume, Volume
from covirt.virtocid.driver.device_config import attached, detached, plain_directory, words_for
from covirt.virtocid.driver.device_errors import DeviceBusy, DeviceFixed
from covirt.virtocid.driver.disk_limits import hold_disk, release_disk
from covirt.virtocid.driver.domain_xml.model_devices import Disk, Filesystem, FilesystemType
from covirt.virtocid.driver.domain_xml.model_volumes import DiskMount
from covirt.virtocid.driver.domain_xml.run_names import with_run_names
from covirt.virtocid.driver.errors import BadArgument, UnmappedDisk
from covirt.virtocid.driver.mounts import (
    ON_DISK,
    check_mounts,
    declared_volumes,
    disk_mount,
    disk_volume,
    filesystem_volume,
    view_name,
)
from covirt.virtocid.driver.plan import id_map
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.store import HotMount

_MOUNTS_AS_IT_LIKES: Final = "CAP_SYS_ADMIN"

Mounted = Disk | Filesystem


class HotMounts:
    """See HotPart."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def added(self, run: Run, device: Mounted) -> tuple[Run, Mounted]:
        """Raises DeviceFixed, and what the check of such a definition raises."""
        settings = run.config.settings
        if _MOUNTS_AS_IT_LIKES in capability_set(add=settings.capabilities_add, drop=settings.capabilities_drop):
            raise DeviceFixed(
                what=f"the {words_for(device)} of a running container with {_MOUNTS_AS_IT_LIKES}",
                reason="it could make it writable, or let set-user-id programs in it work; attach it to the "
                "definition (--config), and start it again",
            )
        config = attached(run.config, device)
        check_mounts(config, self._image(run))
        _require_unhidden(run, device, self._target(run, device))
        self._volume(run, device, view="")
        config = with_run_names(config)
        device = config.disks[-1] if isinstance(device, Disk) else config.filesystems[-1]
        view = view_name(device) if isinstance(device, Disk) else self._free_view(run)
        hot = HotMount(alias=device.alias or "", view=view)
        return replace(run.with_config(config), hot_mounts=(*run.hot_mounts, hot)), device

    def forget(self, device: Mounted) -> None:
        """It has no name outside of its run."""

    def plug(self, run: Run, device: Mounted) -> Run:
        """Raises what the mounting of a new container's volumes raises, TargetUnusable, ContainerEnded."""
        hot = _hot_mount(run, device)
        assert hot is not None  # noqa: S101 - added() made it
        target = self._target(run, device)
        with undo_on_failure() as undo, self._inside(run) as inside:
            undo.add(f"take away {words_for(device)}", lambda: self._take_away(run, device, hot))
            tree = self._tree(run, device, hot)
            try:
                if isinstance(device, Disk):
                    hold_disk(self._services, run, device)
                hot = replace(hot, mount_id=mount_id(tree), made=inside.missing(target))
                others = tuple(each for each in run.hot_mounts if each.alias != hot.alias)
                run = replace(run, hot_mounts=(*others, hot))
                self._services.runs.save(run.record)
                owner = id_map(run.config, run.first_id)
                inside.make_directories(hot.made, uid=owner.host_uid(0), gid=owner.host_gid(0))
                inside.attach(tree, target)
            finally:
                os.close(tree)
        return run

    def unplug(self, run: Run, device: Mounted) -> Run:
        """Raises DeviceBusy, MountCovered."""
        hot = _hot_mount(run, device)
        self._take_away(run, device, hot)
        run = replace(run, hot_mounts=tuple(each for each in run.hot_mounts if each is not hot))
        return run.with_config(detached(run.config, device))

    def updated(self, run: Run, device: Mounted, wanted: Mounted) -> tuple[Run, Mounted]:  # noqa: ARG002
        raise DeviceFixed(what=f"the {words_for(device)}", reason="detach it and attach another one")

    def apply(self, run: Run, device: Mounted) -> None:
        """It is never changed."""

    def _image(self, run: Run) -> ContainerImage:
        return self._services.images.find(run.image_path)

    def _target(self, run: Run, device: Mounted) -> str:
        """Where in the container it is, or is to be."""
        if isinstance(device, Filesystem):
            return device.target
        mount = self._mapping(run, device)
        if mount is None:
            raise UnmappedDisk(disk=device.target)
        return mount.target

    def _mapping(self, run: Run, device: Disk) -> DiskMount | None:
        if device.target == run.config.settings.root_disk:
            raise DeviceFixed(what=f"the {words_for(device)}", reason="it holds the container's root layer")
        return disk_mount(run.config, device, declared_volumes(self._image(run)))

    def _volume(self, run: Run, device: Mounted, *, view: str) -> AnyVolume | None:
        """None for memory."""
        if isinstance(device, Disk):
            mount = self._mapping(run, device)
            return None if mount is None else disk_volume(device, mount)
        if device.type is FilesystemType.RAM:
            return None
        if device.type in ON_DISK:
            return filesystem_volume(device, name=view)
        return self._services.volumes(replace(run.config, filesystems=(device,)))[0]

    def _tree(self, run: Run, device: Mounted, hot: HotMount) -> int:
        """A descriptor of the mount that the container gets."""
        volume = self._volume(run, device, view=hot.view)
        if isinstance(device, Filesystem) and volume is None:
            owner = id_map(run.config, run.first_id)
            return detached_memory(
                size_bytes=device.size_bytes,
                read_only=device.readonly,
                uid=owner.host_uid(0),
                gid=owner.host_gid(0),
            )
        assert volume is not None  # noqa: S101 - added() has seen that the disk is mapped
        self._services.bundles.add_volume(run.bundle, hot.view, volume, self._filling(run, volume))
        return detached_copy(volume_view(run.bundle, hot.view))

    def _filling(self, run: Run, volume: AnyVolume) -> tuple[Path, str] | None:
        """The image that fills a new volume; a directory of the host is nobody's to fill."""
        if isinstance(volume, Volume):
            return None
        image = self._image(run)
        return image.path, image.digest

    def _take_away(self, run: Run, device: Mounted, hot: HotMount | None) -> None:
        views = [] if hot is None else [hot.view]
        with contextlib.suppress(ContainerEnded), self._inside(run) as inside:
            if hot is None:
                found = inside.find(self._target(run, device))
                if found is not None:
                    views = self._views_of(run, device, found)
                    self._unmount(run, device, inside, found)
            else:
                self._take_out(run, device, inside, hot)
        if isinstance(device, Disk):
            release_disk(self._services, run, device)
        for view in views:
            self._services.bundles.remove_volume(run.bundle, view)

    def _take_out(self, run: Run, device: Mounted, inside: ContainerMounts, hot: HotMount) -> None:
        """Unmount what was attached; directories that were made for it go when nothing is in them."""
        if hot.mount_id and inside.has(hot.mount_id):
            found = inside.find(self._target(run, device))
            if found is None or found.mount_id != hot.mount_id:
                raise MountCovered(target=self._target(run, device))
            self._unmount(run, device, inside, found)
        owner = id_map(run.config, run.first_id)
        inside.remove_directories(hot.made, uid=owner.host_uid(0), gid=owner.host_gid(0))

    def _unmount(self, run: Run, device: Mounted, inside: ContainerMounts, found: MountFacts) -> None:
        processes = self._services.supervisor.adopt(run.container_id).processes()
        try:
            inside.detach(self._target(run, device), found.mount_id, processes=processes)
        except MountHeld as error:
            raise DeviceBusy(what=f"the {words_for(device)}", name=run.config.name, holders=error.holders) from error

    def _views_of(self, run: Run, device: Mounted, found: MountFacts) -> list[str]:
        """The view that a mount from the start of the container was made of: one that shows the same directory.

        Raises MountCovered when there is none: then the container mounted something else there.
        """
        if isinstance(device, Filesystem) and device.type is FilesystemType.RAM:
            return []
        with contextlib.suppress(FileNotFoundError):
            for view in sorted(volume_view(run.bundle, "").iterdir()):
                status = view.stat()
                if (status.st_dev, status.st_ino) == (found.device, found.inode):
                    return [view.name]
        raise MountCovered(target=self._target(run, device))

    def _free_view(self, run: Run) -> str:
        taken = {hot.view for hot in run.hot_mounts}
        return next(name for number in range(len(taken) + 1) if (name := f"hot{number}") not in taken)

    @contextlib.contextmanager
    def _inside(self, run: Run) -> Iterator[ContainerMounts]:
        if run.container is None:
            raise ContainerEnded
        with container_mounts(run.container) as inside:
            yield inside


def _hot_mount(run: Run, device: Mounted) -> HotMount | None:
    """None for what was there when the container started."""
    return next((each for each in run.hot_mounts if each.alias == device.alias), None)


def _require_unhidden(run: Run, device: Mounted, target: str) -> None:
    """A mount hides what is below it, so nothing may be there that the container was given before."""
    place = plain_directory(target)
    for other in run.config.filesystems:
        if plain_directory(other.target).startswith(f"{place}/"):
            raise BadArgument(what=f"the {words_for(device)} would hide the {words_for(other)}; detach that first")
