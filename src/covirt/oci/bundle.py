# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A run's bundle: the directory with config.json, the mounted root file system, and the files for /etc.

Everything that a run mounts is mounted below its bundle directory, so that removing a bundle needs nothing but the
mount table, also after a kill -9.

    DIRECTORY/            0710, root and the container's mapped group: nobody else on the host passes
      config.json         0600: it holds the environment
      namespaces/         the user and the network namespace
      lower/              for the moment of mounting: the image with the container's ids
      layer/              a tmpfs or a disk for the root layer, when it is not kept elsewhere
      rootfs/             the overlay
      volumes/N/          disks and directories of the host with the container's ids
      secrets/            a tmpfs with the secrets that are files
      resolv.conf hosts hostname
"""

import contextlib
import functools
import json
import logging
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from covirt.common.errors import InvalidRequest
from covirt.common.files import make_directory, remove_tree, write_atomic
from covirt.common.mountinfo import mounts_below
from covirt.common.undo import UndoStack, undo_on_failure
from covirt.oci import mount
from covirt.oci.etc_files import hosts_text, resolv_conf_text, write_etc_files
from covirt.oci.idmap import IdMap, IdRange
from covirt.oci.isolation_errors import RootLayerOfAnother
from covirt.oci.namespaces import Namespaces, make_namespaces, remove_namespaces
from covirt.oci.secret_files import SecretFile, mount_secret_files
from covirt.oci.shared_images import SharedImages
from covirt.oci.spec import Mount
from covirt.oci.users import ResolvedUser
from covirt.oci.volume.disks import Disk, Disks
from covirt.oci.volume.views import AnyVolume, mount_view

log = logging.getLogger(__name__)

_ROOTFS_IN_IMAGE: Final = "rootfs"
_CONFIG: Final = "config.json"
_SECRETS: Final = "secrets"
_HOST_ROOT_INSIDE: Final = 0xFFFF_0000  # beyond what a container has; only overlayfs' own files carry it
_LAYER_IDS: Final = "ids"  # in a root layer, beside upper and work: host ids of the container's root


class ImpassableDirectory(InvalidRequest):
    template = "{path} may only be entered by its owner, so no container below it can start; run chmod o+x {path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootLayer:
    """Where a container's changes to its image go.

    With a ``directory`` (on a real file system): kept there, or, when ``discarded``, emptied before the run and free
    to be removed after it. With a ``disk``: kept on that, with the ids of the image, and limited by its size. Without
    either: in a tmpfs of ``tmpfs_size_bytes``, which counts as the container's memory.
    """

    directory: Path | None = None
    disk: Disk | None = None
    discarded: bool = True
    tmpfs_size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRequest:
    """What prepare_bundle() needs. ``directory`` is the run's own, below the run directory, and may exist."""

    directory: Path
    image: Path
    image_digest: str
    idmap: IdMap
    namespaces: Namespaces
    root_layer: RootLayer
    hostname: str
    addresses: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()
    search_domains: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    volumes: tuple[AnyVolume, ...] = ()
    # False leaves setuid programs working, see mount_overlay(); must be what the spec says.
    no_new_privileges: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle ready but for config.json. ``mounts`` belong into the spec."""

    directory: Path
    rootfs: Path
    mounts: tuple[Mount, ...]


class Bundles(Protocol):
    """What virtocid asks for when it starts and ends a run."""

    def prepare_directory(self, directory: Path, idmap: IdMap) -> None:
        """Make the run's bundle directory."""

    def prepare(self, request: BundleRequest) -> Bundle:
        """Make everything in it but config.json; all undone on failure."""

    def give_secrets(
        self, directory: Path, secrets: Sequence[SecretFile], idmap: IdMap, user: ResolvedUser
    ) -> tuple[Mount, ...]:
        """Mount files that belong to ``user`` where they name no owner; they go with the bundle."""

    def remove(self, directory: Path) -> None:
        """Remove it, whatever state it is in; absent is fine. May be called again after a failure."""

    def add_volume(self, directory: Path, name: str, volume: AnyVolume, image: tuple[Path, str] | None) -> None:
        """Show one volume more, at volume_view(), while the container runs.

        ``image``, its image's file and digest, fills a volume that is new; None where nothing is filled.
        """

    def remove_volume(self, directory: Path, name: str) -> None:
        """Let a volume go that the container has no more; absent is fine."""


class MountedBundles:
    """Bundles on idmapped and overlay mounts, see prepare_bundle()."""

    def __init__(self, images: SharedImages, disks: Disks) -> None:
        self._images = images
        self._disks = disks

    def prepare_directory(self, directory: Path, idmap: IdMap) -> None:
        prepare_bundle_directory(directory, idmap)

    def prepare(self, request: BundleRequest) -> Bundle:
        return prepare_bundle(request, images=self._images, disks=self._disks)

    def give_secrets(
        self, directory: Path, secrets: Sequence[SecretFile], idmap: IdMap, user: ResolvedUser
    ) -> tuple[Mount, ...]:
        """Raises ForeignPath, UnmappedUser, MountFailed."""
        mount.require_own(directory, self._images.run_dir)
        return mount_secret_files(secrets, directory / _SECRETS, idmap, user) if secrets else ()

    def remove(self, directory: Path) -> None:
        remove_bundle(directory, images=self._images, disks=self._disks)

    def add_volume(self, directory: Path, name: str, volume: AnyVolume, image: tuple[Path, str] | None) -> None:
        """Raises what mount_view() raises."""
        mount.require_own(directory, self._images.run_dir)
        namespace = namespaces_directory(directory) / "user"
        with contextlib.ExitStack() as held:
            root = held.enter_context(self._images.hold(*image))[0] / _ROOTFS_IN_IMAGE if image else None
            view = volume_view(directory, name)
            mount_view(volume, view, user_namespace=namespace, disks=self._disks, image_root=root)

    def remove_volume(self, directory: Path, name: str) -> None:
        """Raises UnmountFailed."""
        view = volume_view(directory, name)
        while mount.unmount(view):
            pass
        with contextlib.suppress(FileNotFoundError):
            view.rmdir()
        self._disks.release_unused()


def namespaces_directory(bundle: Path) -> Path:
    """Where a bundle's namespaces are made, before prepare_bundle()."""
    return bundle / "namespaces"


def prepare_bundle_directory(directory: Path, idmap: IdMap) -> None:
    """Make a bundle directory that root and the container's mapped root group may pass, and nobody else."""
    make_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    os.chown(directory, 0, idmap.host_gid(0))
    directory.chmod(0o710)


def prepare_bundle(request: BundleRequest, *, images: SharedImages, disks: Disks) -> Bundle:
    """Mount the root file system and the volumes, and write the files for /etc; all undone when one fails.

    prepare_bundle_directory() and make_namespaces() come first, and are not undone here. Raises ForeignPath,
    ImageFileMissing, UnknownImageFormat, MountFailed, IdMappedMountUnsupported, UnsuitableRootLayer,
    RootLayerOfAnother, and what mount_view() raises.
    """
    directory = request.directory
    mount.require_own(directory, images.run_dir)
    rootfs = directory / "rootfs"
    with undo_on_failure() as undo:
        image_root = _mount_root(request, rootfs, images, disks, undo)
        volumes = []
        for number, volume in enumerate(request.volumes):
            view = volume_view(directory, volume.name or number)
            undo.add(f"unmount {view}", functools.partial(mount.unmount, view))
            namespace = request.namespaces.user
            volumes.append(mount_view(volume, view, user_namespace=namespace, disks=disks, image_root=image_root))
        etc = write_etc_files(
            directory,
            {
                "resolv.conf": resolv_conf_text(request.nameservers, request.search_domains, request.dns_options),
                "hosts": hosts_text(request.hostname, request.addresses),
                "hostname": f"{request.hostname}\n",
            },
        )
    return Bundle(directory=directory, rootfs=rootfs, mounts=(*etc, *volumes))


def layer_view(bundle: Path) -> Path:
    """Where a bundle has the disk or the tmpfs of its root layer."""
    return bundle / "layer"


def volume_view(bundle: Path, name: object) -> Path:
    """Where a bundle shows a volume, before it goes into the container."""
    return bundle / "volumes" / str(name)


def write_config(directory: Path, spec: Mapping[str, Any]) -> None:
    """Write config.json, readable by root only: the environment may hold secrets."""
    write_atomic(directory / _CONFIG, json.dumps(spec).encode(), mode=0o600, durable=False)


def remove_bundle(directory: Path, *, images: SharedImages, disks: Disks) -> None:
    """Remove everything that a run mounted and wrote, whatever state it is in; absent is fine.

    A discarded root layer's directory is the caller's to remove. Raises ForeignPath, UnmountFailed; it may be called
    again then.
    """
    mount.require_own(directory, images.run_dir)
    remove_namespaces(namespaces_directory(directory))
    for entry in mounts_below(directory):
        mount.unmount(Path(entry.target))
    if not mounts_below(directory):  # never reach into a volume that would not go away
        remove_tree(directory)
    images.release_unused()
    disks.release_unused()


def require_passable(directory: Path) -> None:
    """Raise ImpassableDirectory when a mapped user cannot pass through ``directory`` or one above it."""
    for path in (directory, *directory.parents):
        if not path.stat().st_mode & stat.S_IXOTH:
            raise ImpassableDirectory(path=path)


def _mount_root(request: BundleRequest, rootfs: Path, images: SharedImages, disks: Disks, undo: UndoStack) -> Path:
    """Mount the root file system; gives the image's own, which the overlay keeps mounted."""
    lower = request.directory / "lower"
    lower.mkdir(exist_ok=True)
    rootfs.mkdir(exist_ok=True)
    with images.hold(request.image, request.image_digest) as (image, label):
        layer = _layer_directory(request, disks, undo)
        mount.clone_idmapped(image / _ROOTFS_IN_IMAGE, lower, request.namespaces.user, read_only=True)
        try:
            upper, work = _prepare_layer(layer, lower, request)
            overlay = mount.Overlay(
                lower=lower,
                upper=upper,
                work=work,
                label=label,
                nosuid=request.no_new_privileges,
                volatile=request.root_layer.discarded,
            )
            mount.mount_overlay(overlay, rootfs)
            undo.add(f"unmount {rootfs}", lambda: mount.unmount(rootfs))
        finally:
            # The overlay holds its own copy; without ours the mount table, which every start copies, stays shorter.
            mount.unmount(lower)
        return image / _ROOTFS_IN_IMAGE


def _layer_directory(request: BundleRequest, disks: Disks, undo: UndoStack) -> Path:
    layer = request.root_layer
    if layer.directory is not None:
        if layer.discarded:
            remove_tree(layer.directory)
        make_directory(layer.directory, mode=0o700)
        return layer.directory
    directory = layer_view(request.directory)
    directory.mkdir(mode=0o700, exist_ok=True)
    undo.add(f"unmount {directory}", lambda: mount.unmount(directory))
    if layer.disk is not None:
        _mount_layer_disk(layer.disk, directory, request, disks)
    else:
        mount.mount_tmpfs(directory, size_bytes=layer.tmpfs_size_bytes, mode=0o700)
    return directory


def _mount_layer_disk(disk: Disk, directory: Path, request: BundleRequest, disks: Disks) -> None:
    """The disk has the image's ids, so that it is good for any range of ids, on any host.

    overlayfs works in it with the ids of the host's root, too, which the container's mapping does not have.
    """
    idmap, places = request.idmap, request.directory / "layer-namespaces"
    extra = () if idmap.maps_host_root else (IdRange(inside=_HOST_ROOT_INSIDE, outside=0, count=1),)
    wider = replace(idmap, more_uids=(*idmap.more_uids, *extra), more_gids=(*idmap.more_gids, *extra))
    with disks.hold(disk) as top:
        make_directory(top / "layer", mode=0o700)
        try:
            mount.clone_idmapped(top / "layer", directory, make_namespaces(wider, places).user, read_only=False)
        finally:
            remove_namespaces(places)


def _prepare_layer(layer: Path, lower: Path, request: BundleRequest) -> tuple[Path, Path]:
    """The upper directory is what shows as / inside: it takes owner and mode of the image's root directory."""
    upper, work = layer / "upper", layer / "work"
    work.mkdir(mode=0o700, exist_ok=True)
    on_disk = request.root_layer.disk is not None
    if upper.is_dir():
        if not on_disk:
            _require_same_ids(layer, upper, request.idmap)
        return upper, work
    like = lower.stat()
    if not on_disk:
        write_atomic(layer / _LAYER_IDS, _ids_text(request.idmap).encode(), durable=not request.root_layer.discarded)
    unfinished = layer / "upper.new"
    unfinished.mkdir(mode=0o700, exist_ok=True)
    os.chown(unfinished, like.st_uid, like.st_gid)
    unfinished.chmod(stat.S_IMODE(like.st_mode))
    unfinished.rename(upper)
    return upper, work


def _require_same_ids(layer: Path, upper: Path, idmap: IdMap) -> None:
    """Asked of our own note: the upper directory's owner is the container's to change, with ``chown 1 /``."""
    try:
        recorded = (layer / _LAYER_IDS).read_text()
    except FileNotFoundError:  # made before there were notes: an owner that the mapping has is believed
        owner = upper.stat().st_uid
        if not any(each.outside <= owner < each.outside + each.count for each in idmap.uids):
            raise RootLayerOfAnother(path=layer, owner=owner, expected=idmap.uid_first) from None
        write_atomic(layer / _LAYER_IDS, _ids_text(idmap).encode())
        return
    if recorded != _ids_text(idmap):
        raise RootLayerOfAnother(path=layer, owner=recorded.strip(), expected=_ids_text(idmap).strip())


def _ids_text(idmap: IdMap) -> str:
    return f"{idmap.uid_first}:{idmap.gid_first}\n"
