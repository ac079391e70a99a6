# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One storage domain of files: its layout on storage, its metadata, the metadata of its volumes.

Nothing is remembered: other hosts, and Vdsm, may write to the same storage.
"""

import contextlib
import logging
import os
import stat
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from covirt.host.storage.directory import FILE_MODE, Directory, NotARegularFile
from covirt.host.storage.domain_format import BLANK_ID, DomainMetadata, StorageType
from covirt.host.storage.image_volumes import VolumeFacts
from covirt.host.storage.storage_errors import (
    BrokenChain,
    BrokenVolumeMetadata,
    NoSuchVolume,
    StorageDomainMetadataMissing,
    StorageDomainSilent,
    StorageDomainUnusable,
)
from covirt.host.storage.storage_paths import is_uuid
from covirt.host.storage.volume_format import Legality, Place, VolumeMetadata
from covirt.host.virt.volumes import VolumeRef

log = logging.getLogger(__name__)

METADATA_DIRECTORY: Final = "dom_md"
IMAGES: Final = "images"
MASTER: Final = "master"
_METADATA: Final = "metadata"
_METADATA_DIRECTORY_MODE: Final = 0o775
_MIB: Final = 1 << 20
_MAILBOX_BYTES: Final = 16 * _MIB
# Empty until sanlock formats them, which local domains never ask for.
_SPECIAL_FILES: Final[Mapping[str, int]] = {"ids": 0, "inbox": _MAILBOX_BYTES, "leases": 0, "outbox": _MAILBOX_BYTES}
_REMOVED: Final = "_remove_me_"
_FORMATTED: Final = "_covirt_formatted_"  # beside domains
_META: Final = ".meta"
# Where new images are made: neither we nor Vdsm, which looks for *-*-*-*-*, take such a directory for an image.
STAGE_PREFIX: Final = "_covirt_"
_CHAIN_LIMIT: Final = 1000
_CHANGE_SECONDS: Final = 60.0
# For all domains of this process; two volumes that meet in one wait for each other, and no change needs two.
_CHANGES: Final = tuple(threading.Lock() for _ in range(64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSize:
    apparent_bytes: int
    true_bytes: int


class FileDomain:
    """``mount`` is the directory that holds the domain's. Methods raise OSError where storage fails."""

    def __init__(self, *, mount: Path, domain_id: str) -> None:
        self.mount = mount
        self.id = domain_id

    @property
    def path(self) -> Path:
        return self.mount / self.id

    @property
    def images_path(self) -> Path:
        return self.path / IMAGES

    def create(self, metadata: DomainMetadata) -> None:
        """Lay it out; the metadata comes last, so that a half made domain is none. What cannot be finished is taken
        away, unless some of it was there before: that may be a domain whose metadata is lost."""
        was_there = os.path.lexists(self.path)
        try:
            self._lay_out(metadata)
        except OSError:
            if not was_there:
                with contextlib.suppress(OSError):
                    self.remove()
            raise

    def _lay_out(self, metadata: DomainMetadata) -> None:
        with Directory.open(self.mount) as mount, mount.make(self.id) as top:
            with top.make(IMAGES):
                pass
            with top.make(METADATA_DIRECTORY, mode=_METADATA_DIRECTORY_MODE) as inner:
                for name, size in _SPECIAL_FILES.items():
                    inner.unlink(name)
                    inner.create(name, size_bytes=size, mode=FILE_MODE)
                inner.replace(_METADATA, metadata.dump())
            top.sync()
            mount.sync()

    def remove(self) -> None:
        """Format: out of sight in one step, then file by file; finish_removals() does the rest after a kill."""
        gone = f"{_FORMATTED}{uuid4().hex}"
        with Directory.open(self.mount) as mount:
            with contextlib.suppress(FileNotFoundError):
                mount.rename(self.id, mount, gone)
                mount.sync()
            _remove_below(mount, gone)
            mount.sync()

    def metadata(self, *, direct: bool = False) -> DomainMetadata:
        """Raises StorageDomainMetadataMissing, BrokenDomainMetadata, StorageDomainUnusable."""
        try:
            with self._metadata_directory() as inner:
                data = inner.read(_METADATA, direct=direct)
        except (FileNotFoundError, NotADirectoryError) as error:
            path = self.path / METADATA_DIRECTORY / _METADATA
            raise StorageDomainMetadataMissing(domain_id=self.id, path=path) from error
        except OSError as error:
            raise StorageDomainUnusable(domain_id=self.id, reason=error.strerror) from error
        return DomainMetadata.parse(data, domain_id=self.id)

    def write_metadata(self, metadata: DomainMetadata) -> None:
        with self._metadata_directory() as inner:
            inner.replace(_METADATA, metadata.dump())

    def make_master_directories(self) -> None:
        with self._top() as top, top.make(MASTER) as master:
            for name in ("vms", "tasks"):
                with master.make(name):
                    pass

    def space(self) -> Space:
        try:
            with self._top() as top:
                found = top.usage()
        except OSError as error:
            raise StorageDomainUnusable(domain_id=self.id, reason=error.strerror) from error
        return Space(total_bytes=found.f_frsize * found.f_blocks, free_bytes=found.f_frsize * found.f_bavail)

    def real_path(self) -> str:
        """What a local domain's link points at, or what is mounted."""
        return os.readlink(self.mount) if self.mount.is_symlink() else os.fspath(self.mount)

    # images and volumes

    def image_ids(self) -> list[str]:
        with self.images() as images:
            return [name for name in images.names() if is_uuid(name)]

    def volume_ids(self, image_id: str) -> list[str]:
        """Of one image; none where there is no such image."""
        try:
            with self.image(image_id) as image:
                names = image.names()
        except FileNotFoundError:
            return []
        return [name.removesuffix(_META) for name in names if name.endswith(_META) and is_uuid(name[: -len(_META)])]

    @contextmanager
    def images(self) -> Iterator[Directory]:
        with self._top() as top, top.sub(IMAGES) as images:
            yield images

    @contextmanager
    def image(self, image_id: str) -> Iterator[Directory]:
        """Raises FileNotFoundError."""
        with self.images() as images, images.sub(image_id) as image:
            yield image

    def volume_metadata(self, image_id: str, volume_id: str) -> VolumeMetadata:
        """Raises NoSuchVolume, BrokenVolumeMetadata."""
        try:
            with self.image(image_id) as image:
                data = image.read(meta_name(volume_id))
        except FileNotFoundError:
            raise NoSuchVolume(volume_id=volume_id, image_id=image_id, domain_id=self.id) from None
        return VolumeMetadata.parse(data, volume_id=volume_id)

    @contextmanager
    def changing(self, image_id: str, volume_id: str) -> Iterator[None]:
        """One change of a volume's metadata at a time: whoever reads it to write it again loses none in between.

        Raises StorageDomainSilent, where storage holds the one before too long.
        """
        lock = _CHANGES[hash((self.id, image_id, volume_id)) % len(_CHANGES)]
        if not lock.acquire(timeout=_CHANGE_SECONDS):
            raise StorageDomainSilent(where=self.id, seconds=_CHANGE_SECONDS)
        try:
            yield
        finally:
            lock.release()

    def change_volume(
        self, image_id: str, volume_id: str, changed: Callable[[VolumeMetadata], VolumeMetadata]
    ) -> VolumeMetadata:
        """Gives what it was before. Raises NoSuchVolume, BrokenVolumeMetadata and what ``changed`` does."""
        with self.changing(image_id, volume_id):
            before = self.volume_metadata(image_id, volume_id)
            after = changed(before)
            if after != before:
                self.write_volume_metadata(image_id, volume_id, after)
            return before

    def write_volume_metadata(self, image_id: str, volume_id: str, metadata: VolumeMetadata) -> None:
        with self.image(image_id) as image:
            image.replace(meta_name(volume_id), metadata.dump(volume_id=volume_id))

    def size(self, image_id: str, volume_id: str) -> VolumeSize:
        """Raises NoSuchVolume."""
        try:
            with self.image(image_id) as image:
                found = image.status(volume_id)
        except FileNotFoundError:
            found = None
        if found is None:
            raise NoSuchVolume(volume_id=volume_id, image_id=image_id, domain_id=self.id)
        if not stat.S_ISREG(found.st_mode):
            raise NotARegularFile(name=volume_id)
        return VolumeSize(apparent_bytes=found.st_size, true_bytes=found.st_blocks * 512)

    def children(self, image_id: str, volume_id: str) -> list[str]:
        """The volumes of the same image that build on this one."""
        found = []
        for other in self.volume_ids(image_id):
            with contextlib.suppress(BrokenVolumeMetadata, NoSuchVolume):
                if self.volume_metadata(image_id, other).parent_id == volume_id:
                    found.append(other)
        return found

    def settle_parent(self, image_id: str, volume_id: str, *, without: str | None = None) -> None:
        """A volume that lost or got its child is on top, or below another, from now on. A template stays one.

        ``without``: a child that is about to go.
        """

        def settled(metadata: VolumeMetadata) -> VolumeMetadata:
            above = set(self.children(image_id, volume_id)) - {without}
            place = Place.INTERNAL if above else Place.LEAF
            return metadata if metadata.place is Place.SHARED else replace(metadata, place=place)

        with contextlib.suppress(NoSuchVolume):
            self.change_volume(image_id, volume_id, settled)

    def chain(self, image_id: str, volume_id: str) -> list[tuple[str, VolumeMetadata]]:
        """The volume and what lies below it, topmost first. Raises NoSuchVolume and BrokenChain."""
        if volume_id == BLANK_ID:  # which is where a chain ends
            raise NoSuchVolume(volume_id=volume_id, image_id=image_id, domain_id=self.id)
        found: list[tuple[str, VolumeMetadata]] = []
        current = volume_id
        while current != BLANK_ID:
            if not is_uuid(current) or len(found) == _CHAIN_LIMIT or any(current == known for known, _ in found):
                raise BrokenChain(volume_id=volume_id, reason=f"{current!r} cannot be a parent")
            try:
                metadata = self.volume_metadata(image_id, current)
            except NoSuchVolume as error:
                if current == volume_id:
                    raise
                raise BrokenChain(volume_id=volume_id, reason=str(error)) from error
            found.append((current, metadata))
            current = metadata.parent_id
        return found

    def facts(self, ref: VolumeRef) -> VolumeFacts:
        """Raises NoSuchVolume, BrokenChain, BrokenVolumeMetadata."""
        below: VolumeFacts | None = None
        for volume_id, metadata in reversed(self.chain(ref.image_id, ref.volume_id)):
            below = VolumeFacts(
                ref=replace(ref, volume_id=volume_id),
                path=self.images_path / ref.image_id / volume_id,
                format=metadata.format,
                allocation=metadata.allocation,
                capacity_bytes=metadata.capacity_bytes,
                disk_type=metadata.disk_type,
                description=metadata.description,
                is_shared=metadata.place is Place.SHARED,
                is_legal=metadata.legality is not Legality.ILLEGAL,
                generation=metadata.generation,
                parent=below,
                is_own=metadata.image_id == ref.image_id,
            )
        assert below is not None  # noqa: S101 - a chain holds the volume itself
        return below

    def remove_image(self, image_id: str) -> None:
        """Out of sight in one step, then file by file; what an earlier try left is removed, too."""
        gone = f"{_REMOVED}{image_id}"
        with self.images() as images:
            images.remove(gone)
            with contextlib.suppress(FileNotFoundError):
                images.rename(image_id, images, gone)
                images.sync()
            images.remove(gone)
            images.sync()

    def collect_garbage(self, stages: Callable[[], Collection[str]]) -> None:
        """Finish removals that were cut short, and remove where work was done that nobody knows any more.

        ``stages``: the directories of work that is not over. It is asked after the look, since work is written down
        before its directory is made.
        """
        with self.images() as images:
            found = [name for name in images.names() if name.startswith((_REMOVED, STAGE_PREFIX))]
            known = stages() if found else ()
            for name in found:
                if name not in known:
                    log.info("What was left is removed domain=%s name=%s", self.id, name)
                    images.remove(name)

    @contextmanager
    def _top(self) -> Iterator[Directory]:
        with Directory.open(self.mount) as mount, mount.sub(self.id) as top:
            yield top

    @contextmanager
    def _metadata_directory(self) -> Iterator[Directory]:
        with self._top() as top, top.sub(METADATA_DIRECTORY) as inner:
            yield inner


def meta_name(volume_id: str) -> str:
    return f"{volume_id}{_META}"


def needs_leases(storage_type: StorageType) -> bool:
    """Whether other hosts share the storage, so that sanlock has to guard it."""
    return storage_type is not StorageType.LOCALFS


def finish_removals(mount: Path) -> None:
    """Of domains, where a killed agent had begun to format them."""
    with Directory.open(mount) as directory:
        for name in directory.names():
            if name.startswith(_FORMATTED):
                log.info("A format is finished mount=%s name=%s", mount, name)
                _remove_below(directory, name)


def _remove_below(directory: Directory, name: str, *, depth: int = 4) -> None:
    """A domain's tree: domain, images, one image, its files."""
    status = directory.status(name)
    if status is None:
        return
    try:
        inner = directory.sub(name)
    except (NotADirectoryError, OSError):
        directory.unlink(name)
        return
    with inner:
        for entry in inner.names() if depth else ():
            _remove_below(inner, entry, depth=depth - 1)
    directory.rmdir(name)
