# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is mounted where in a container: disks, directories, memory, and what an image declares as its volumes.

Pure: from a domain's configuration and its image to places, with every contradiction refused.
"""

import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from covirt.common.dialect import OVIRT_VM_NAMESPACE
from covirt.oci import syscalls
from covirt.oci.idmap import IdMap, IdRange
from covirt.oci.image.model import ContainerImage
from covirt.oci.spec import Mount
from covirt.oci.volume.disks import Disk
from covirt.oci.volume.views import AnyVolume, DiskVolume, KeptVolume
from covirt.virtocid.driver.domain_xml import model
from covirt.virtocid.driver.domain_xml.model import DiskDevice, DiskMount, DiskType, DomainConfig, FilesystemType
from covirt.virtocid.driver.errors import (
    BadMountTarget,
    BadRootDisk,
    ImageVolumeUnmapped,
    NotSupported,
    OverlappingTargets,
    UnmappedDisk,
)

# What the runtime makes for every container; /dev/shm is the one place in it that users replace.
_FORBIDDEN: Final = ("/proc", "/sys", "/dev")
_ALLOWED: Final = ("/dev/shm",)  # noqa: S108
_NAME_LIMIT: Final = 200  # bytes of a file name
ON_DISK: Final = (FilesystemType.FILE, FilesystemType.BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A place inside, and what is to be there, in words. ``strict``: nothing may lie above or below it.

    ``file``: nothing may lie below it.
    """

    path: str
    what: str
    strict: bool
    file: bool = False


def disk_mount(config: DomainConfig, disk: model.Disk, declared: tuple[str, ...] = ()) -> DiskMount | None:
    """Where the XML wants a disk mounted, in this order: in the disk itself, in <covirt:container>, by oVirt's map.

    ``declared`` are the image's volumes, which a label of oVirt's map may name. None: nowhere.
    """
    if disk.mount is not None:
        return disk.mount
    mapped = next((each.mount for each in config.settings.volumes if each.disk == disk.target), None)
    if mapped is not None:
        return mapped
    names = {each.target for each in config.disks} | {disk.target}
    for drive in config.drive_map:
        # oVirt's code writes the label first, and its manual the drive: whichever side is a disk is the drive.
        label, name = (drive.tag, drive.text) if drive.text in names else (drive.text, drive.tag)
        if name == disk.target:
            return DiskMount(target=_labelled(label, declared))
    return None


def volume_disks(config: DomainConfig) -> Iterator[model.Disk]:
    """The disks that are no image."""
    return (disk for disk in config.disks if disk.device is DiskDevice.DISK and disk.type is not DiskType.DIR)


def source_of(disk: model.Disk) -> Disk:
    """The disk as the layer below takes it."""
    return Disk(
        path=Path(disk.source or ""),
        block=disk.type is DiskType.BLOCK,
        read_only=disk.readonly,
        shareable=disk.shareable,
    )


def check_mounts(config: DomainConfig, image: ContainerImage) -> None:
    """Raises UnmappedDisk, BadRootDisk, BadMountTarget, OverlappingTargets, ImageVolumeUnmapped, NotSupported."""
    _check_root_disk(config)
    for disk in config.disks:
        if disk.type is DiskType.DIR:
            raise NotSupported(
                what=f"the directory of the disk '{disk.target}'",
                reason="<filesystem type='mount'> shows directories",
            )
    root = config.root_filesystem
    if root is not None and root is not config.image_filesystem:
        raise NotSupported(
            what="a host directory as root file system", reason="the root comes from a container image only"
        )
    for disk in volume_disks(config):
        if disk_mount(config, disk, declared_volumes(image)) is None and disk.target != config.settings.root_disk:
            raise UnmappedDisk(disk=disk.target)
    targets = list(_targets(config, image))
    for number, one in enumerate(targets):
        _check_target(one)
        for other in targets[:number]:
            _check_pair(one, other)
    unmapped = unmapped_volumes(config, image)
    if unmapped and config.element(OVIRT_VM_NAMESPACE) is not None:
        raise ImageVolumeUnmapped(path=unmapped[0])


def volumes_of(config: DomainConfig, image: ContainerImage, *, kept: Path | None) -> tuple[AnyVolume, ...]:
    """Disks, file systems in files and devices, and with ``kept``, the domain's directory, unmapped image volumes.

    Without ``kept`` the latter are a part of the root layer, which a transient domain loses at its end.
    """
    declared = declared_volumes(image)
    volumes: list[AnyVolume] = []
    for disk in volume_disks(config):
        mount = disk_mount(config, disk, declared)
        if mount is not None and disk.target != config.settings.root_disk:
            volumes.append(disk_volume(disk, mount))
    for number, filesystem in enumerate(config.filesystems):
        if filesystem.type in ON_DISK and filesystem is not config.image_filesystem:
            volumes.append(filesystem_volume(filesystem, name=f"fs{number}"))
    if kept is not None:
        volumes += (
            KeptVolume(directory=kept / kept_name(path), destination=path, name=f"kept{number}")
            for number, path in enumerate(unmapped_volumes(config, image))
        )
    return tuple(volumes)


def disk_volume(disk: model.Disk, mount: DiskMount) -> DiskVolume:
    """A disk at its place; its view is named after the disk, which statistics look it up by."""
    return DiskVolume(
        disk=source_of(disk), destination=mount.target, subpath=mount.subpath or "", name=view_name(disk)
    )


def view_name(disk: model.Disk) -> str:
    return f"disk-{disk.target}"


def filesystem_volume(filesystem: model.Filesystem, *, name: str) -> DiskVolume:
    """<filesystem type='file'> or 'block': a disk without a target name."""
    return DiskVolume(
        disk=Disk(
            path=Path(filesystem.source or ""),
            block=filesystem.type is FilesystemType.BLOCK,
            read_only=filesystem.readonly,
        ),
        destination=filesystem.target,
        name=name,
    )


def root_disk(config: DomainConfig) -> Disk | None:
    """The disk that holds the root layer."""
    name = config.settings.root_disk
    return next((source_of(disk) for disk in config.disks if name is not None and disk.target == name), None)


def discarded_mounts(
    config: DomainConfig, rootfs: Path, idmap: IdMap, *, default_size_bytes: int
) -> tuple[Mount, ...]:
    """<covirt:volume discard=>: memory of the container's own, which the runtime fills from what is at the place."""
    if not config.settings.discarded_volumes:
        return ()
    root = os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return tuple(
            Mount(
                source="tmpfs",
                destination=volume.target,
                filesystem="tmpfs",
                options=(
                    "nosuid",
                    "nodev",
                    "tmpcopyup",
                    f"size={volume.size_bytes or default_size_bytes}",
                    *_owner_options(root, volume.target, idmap),
                ),
            )
            for volume in config.settings.discarded_volumes
        )
    finally:
        os.close(root)


def _owner_options(root: int, path: str, idmap: IdMap) -> tuple[str, ...]:
    """Owner and mode of the directory that the memory hides: services check those of theirs."""
    try:
        descriptor = syscalls.open_in_root(root, path, flags=os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return ("mode=755",)
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    uid, gid = _inside(idmap.uids, status.st_uid), _inside(idmap.gids, status.st_gid)
    return (f"mode={stat.S_IMODE(status.st_mode):o}", f"uid={uid}", f"gid={gid}")


def _inside(ranges: tuple[IdRange, ...], number: int) -> int:
    fitting = (each for each in ranges if each.outside <= number < each.outside + each.count)
    return next((each.inside + number - each.outside for each in fitting), 0)


def declared_volumes(image: ContainerImage) -> tuple[str, ...]:
    """The image's VOLUMEs as absolute paths; what cannot be a volume (/, /proc, …) is left out."""
    paths = (posixpath.normpath(f"/{path}").replace("//", "/") for path in image.volumes)
    usable = (path for path in paths if path.isprintable() and len(quote(path, safe="").encode()) < _NAME_LIMIT)
    return tuple(dict.fromkeys(path for path in usable if path != "/" and not _is_forbidden(path)))


def unmapped_volumes(config: DomainConfig, image: ContainerImage) -> tuple[str, ...]:
    """The image's VOLUMEs that nothing in the XML is mounted at or above, outermost only."""
    mapped = [target.path for target in _mapped_targets(config, declared_volumes(image))]
    chosen: list[str] = []
    for path in sorted(declared_volumes(image), key=lambda path: path.count("/")):
        if not any(_covers(above, path) for above in (*mapped, *chosen)):
            chosen.append(path)
    return tuple(chosen)


def kept_name(path: str) -> str:
    """The directory's name of a kept volume, with every slash escaped, and a dot at its beginning: those are ours."""
    name = quote(path.removeprefix("/"), safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def _labelled(label: str, declared: tuple[str, ...]) -> str:
    """A path as it stands; else the one declared volume whose path ends in the label; else the label below /."""
    if label.startswith("/"):
        return label
    fitting = [path for path in declared if path.endswith(f"/{label}")]
    return fitting[0] if len(fitting) == 1 else f"/{label}"


def _check_root_disk(config: DomainConfig) -> None:
    name = config.settings.root_disk
    if name is None:
        return
    disk = next((each for each in volume_disks(config) if each.target == name), None)
    if disk is None:
        raise BadRootDisk(disk=name, reason="there is no such disk")
    if disk.readonly or disk.shareable:
        raise BadRootDisk(disk=name, reason="a container writes to it alone, so it is neither readonly nor shareable")
    if disk.mount is not None or any(each.disk == name for each in config.settings.volumes):
        raise BadRootDisk(disk=name, reason="it is mapped to another place too")


def _targets(config: DomainConfig, image: ContainerImage) -> Iterator[_Target]:
    yield from _mapped_targets(config, declared_volumes(image))
    for secret in config.settings.secrets:
        if secret.path is not None:
            yield _Target(path=secret.path, what=secret.label, strict=False, file=True)


def _mapped_targets(config: DomainConfig, declared: tuple[str, ...]) -> Iterator[_Target]:
    for disk in volume_disks(config):
        mount = disk_mount(config, disk, declared)
        if mount is not None and disk.target != config.settings.root_disk:
            yield _target(mount.target, f"the disk {disk.target}", strict=True)
    for discarded in config.settings.discarded_volumes:
        yield _target(discarded.target, "what is to be discarded", strict=True)
    for filesystem in config.filesystems:
        if filesystem is not config.root_filesystem:
            yield _target(filesystem.target, f"<filesystem type='{filesystem.type}'>", strict=False)


def _target(path: str, what: str, *, strict: bool) -> _Target:
    return _Target(path=posixpath.normpath(path).replace("//", "/"), what=what, strict=strict)


def _check_target(target: _Target) -> None:
    if target.path == "/":
        raise BadMountTarget(path=target.path, reason="the root file system is the image")
    if ".." in PurePosixPath(target.path).parts:
        raise BadMountTarget(path=target.path, reason="it has a '..' segment")
    if _is_forbidden(target.path):
        raise BadMountTarget(path=target.path, reason="every container has its own /proc, /sys and /dev")


def _check_pair(one: _Target, other: _Target) -> None:
    above, below = _covers(one.path, other.path), _covers(other.path, one.path)
    strict = one.strict or other.strict
    if one.path == other.path or (above and (strict or one.file)) or (below and (strict or other.file)):
        raise OverlappingTargets(one=f"{other.what} at {other.path}", other=f"{one.what} at {one.path}")


def _is_forbidden(path: str) -> bool:
    return any(_covers(each, path) for each in _FORBIDDEN) and path not in _ALLOWED


def _covers(above: str, path: str) -> bool:
    return path == above or path.startswith(f"{above}/")
