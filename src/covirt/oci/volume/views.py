# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container's own view of a volume: one mount below its bundle, with its ids, which is all that it holds of it.

A volume's ``name`` is that of its view's directory; without one it is a number.
Unmounting the view lets the volume go: the disk, its loop device and its locks are free with the last view.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from covirt.common.files import make_directory
from covirt.oci import mount, syscalls
from covirt.oci.isolation_errors import IdMappedMountUnsupported, MountFailed, VolumeNotMappable
from covirt.oci.spec import Mount
from covirt.oci.volume.content import directory_below, fill
from covirt.oci.volume.disks import Disk, Disks


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A directory of the host, shown in the container. ``idmapped``: its ids are the container's (0 is its root).

    ``source`` has no symbolic link in any part: one that is put there after the caller checked the path is refused,
    not followed.
    """

    source: Path
    destination: str
    read_only: bool = False
    idmapped: bool = True
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskVolume:
    """A disk with a file system of covirt's. ``subpath`` shows only that directory of it."""

    disk: Disk
    destination: str
    subpath: str = ""
    name: str = ""

    @property
    def read_only(self) -> bool:
        return self.disk.read_only


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptVolume:
    """A directory of ours that only root may enter, made and filled from the image at first; ids as in the image."""

    directory: Path
    destination: str
    read_only: bool = False
    name: str = ""


AnyVolume = Volume | DiskVolume | KeptVolume


def mount_view(
    volume: AnyVolume, view: Path, *, user_namespace: Path, disks: Disks, image_root: Path | None = None
) -> Mount:
    """Show a volume at ``view``, a directory that is made; nothing is left mounted on failure.

    ``image_root`` is the image's root file system with its own ids, which fills a new volume. Gives the mount for
    config.json. Raises what Disks.hold() raises, MountFailed, VolumeNotMappable, VolumeCopyFailed, NoSuchSubpath.
    """
    make_directory(view)
    with ExitStack() as held:
        source = _source(volume, disks, image_root, held)
        _mount_source(source, volume, view, user_namespace)
    options = ("bind", "ro" if volume.read_only else "rw", "nosuid", "nodev")
    return Mount(source=os.fspath(view), destination=volume.destination, options=options)


def _source(volume: AnyVolume, disks: Disks, image_root: Path | None, held: ExitStack) -> Path:
    """A path, good as long as the stack, of what is to be shown."""
    if isinstance(volume, DiskVolume):
        top = held.enter_context(disks.hold(volume.disk))
        data = fill(top, None if volume.subpath else image_root, volume.destination)
        if not volume.subpath:
            return data
        return held.enter_context(directory_below(data, volume.subpath, volume=volume.disk.path))
    if isinstance(volume, KeptVolume):
        make_directory(volume.directory.parent, mode=0o700)
        make_directory(volume.directory, mode=0o700)
        return fill(volume.directory, image_root, volume.destination)
    try:
        descriptor = syscalls.open_without_links(os.fspath(volume.source))
    except OSError as error:
        raise MountFailed(source=volume.source, target=volume.destination, reason=error.strerror) from error
    held.callback(os.close, descriptor)
    return Path(f"/proc/self/fd/{descriptor}")


def _mount_source(source: Path, volume: AnyVolume, view: Path, user_namespace: Path) -> None:
    name = volume.source if isinstance(volume, Volume) else source
    try:
        if isinstance(volume, Volume) and not volume.idmapped:
            mount.bind(source, view, read_only=volume.read_only)
        else:
            mount.clone_idmapped(source, view, user_namespace, read_only=volume.read_only)
    except IdMappedMountUnsupported as error:
        raise VolumeNotMappable(source=name, reason=error.reason) from error
    except MountFailed as error:
        raise MountFailed(source=name, target=volume.destination, reason=error.reason) from error
