# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Container images in storage domains: imported straight into a volume, listed, inspected, removed when unused.

In the domain's format a container image is a raw volume of disk type ISOF, a read-only disc. An import works in a
directory that no reader of the format takes for an image and that names the job, and becomes an image by one rename.
"""

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from covirt.common.errors import Conflict, NotFound
from covirt.common.files import remove_tree, sync_directory
from covirt.host.storage.container_import import (
    ArchiveKind,
    ContainerImageProgram,
    Credentials,
    ImportSource,
    archive_source,
)
from covirt.host.storage.image_volumes import CONTAINER_IMAGE_DISK_TYPE, Allocation, ImageVolumes, VolumeFacts
from covirt.host.storage.operation import Control, Kind, Params, checked_id
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_errors import UsedByOthers
from covirt.host.storage.unprivileged import STORAGE_GID, STORAGE_UID
from covirt.host.virt.volumes import VolumeRef

log = logging.getLogger(__name__)

IMPORT: Final = "import_container_image"
REMOVE: Final = "remove_container_image"
_STAGE: Final = "_covirt_import_"
# Nobody writes to it again; the bits say so to whoever opens it as the owner of storage files.
_FILE_MODE: Final = 0o440
_DIRECTORY_MODE: Final = 0o755
_BLOCK: Final = 4096
_KNOWN_LIMIT: Final = 1000  # a configuration may be some hundred kilobytes


class ContainerImageExists(Conflict):
    template = "image {image_id} exists already in storage domain {domain_id}; choose another id"


class ContainerImageInUse(Conflict):
    template = "container image {image_id} is used by {users}; stop them first"


class NotAContainerImage(NotFound):
    template = "volume {volume_id} of image {image_id} holds no container image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A volume that an archive was uploaded to. ``reference`` chooses one of several images in it."""

    ref: VolumeRef
    kind: ArchiveKind
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerImage:
    """One container image of a storage domain. ``facts`` is what virtocid-image tells of it."""

    volume: VolumeFacts
    facts: Mapping[str, Any]
    users: frozenset[str]


def import_params(*, job_id: str, target: VolumeRef, source: ImportSource | Archive, description: str) -> Params:
    """What the job's record holds: no password."""
    key = "archive" if isinstance(source, Archive) else "source"
    return {"job_id": job_id, "target": asdict(target), key: asdict(source), "description": description}


class ContainerImages:
    """Container images of all storage domains that this host reaches."""

    def __init__(self, *, volumes: ImageVolumes, program: ContainerImageProgram) -> None:
        self._volumes = volumes
        self._program = program
        self._lock = threading.Lock()
        # Facts by the file's identity; None for a disc that is no container image. Asking the program takes a while.
        self._known: dict[tuple[int, ...], Mapping[str, Any] | None] = {}

    def kinds(self) -> Sequence[Kind]:
        return (
            Kind(name=IMPORT, run=self.run_import, undo=self.undo_import),
            Kind(name=REMOVE, run=self.run_remove, again=True),
        )

    def check_free(self, ref: VolumeRef) -> None:
        """Raises ContainerImageExists, so that an import never takes back what it has not made."""
        if self._image_directory(ref).exists():
            raise ContainerImageExists(image_id=ref.image_id, domain_id=ref.domain_id)

    def list(self, domain_id: str) -> Sequence[ContainerImage]:
        """All of a domain."""
        found = []
        for volume in self._volumes.volumes(domain_id):
            facts = self._facts(volume)
            if facts is not None:
                found.append(self._image(volume, facts))
        return found

    def get(self, ref: VolumeRef) -> ContainerImage:
        """Raises NotAContainerImage."""
        volume = self._volumes.volume(ref)
        facts = self._facts(volume)
        if facts is None:
            raise NotAContainerImage(volume_id=ref.volume_id, image_id=ref.image_id)
        return self._image(volume, facts)

    def check_unused(self, ref: VolumeRef) -> None:
        """Raises ContainerImageInUse."""
        users = self._volumes.users(ref)
        if users:
            raise ContainerImageInUse(image_id=ref.image_id, users=", ".join(sorted(users)))

    def run_import(self, params: Params, control: Control) -> None:
        target, user = VolumeRef(**params["target"]), f"job-{params['job_id']}"
        self.check_free(target)
        stage = self._stage(params)
        stage.mkdir(mode=0o700)
        path = stage / checked_id(target.volume_id)
        login = Credentials(**control.secrets) if control.secrets else None
        archive = _archive(params)
        try:
            source = ImportSource(**params["source"]) if archive is None else self._opened(archive, user)
            facts = self._program.import_to(path, source, login=login, job_id=params["job_id"], control=control)
        finally:
            if archive is not None:
                self._volumes.teardown(archive.ref, user=user)
        mark = _mark(params)
        (stage / mark).touch()
        self._publish(path, target, params["description"], facts)
        (self._image_directory(target) / mark).unlink()
        control.progress(100)

    def undo_import(self, params: Params) -> None:
        """Remove what this job made, and nothing that another put at the target meanwhile."""
        target = VolumeRef(**params["target"])
        archive = _archive(params)
        if archive is not None:
            self._volumes.teardown(archive.ref, user=f"job-{params['job_id']}")
        self._program.forget_login(params["job_id"])
        remove_tree(self._stage(params))
        if (self._image_directory(target) / _mark(params)).exists():
            self._volumes.remove_image(target.domain_id, target.image_id)

    def run_remove(self, params: Params, _control: Control) -> None:
        target = VolumeRef(**params["target"])
        try:
            with self._volumes.alone(target.domain_id, target.image_id, None, purpose="its removal"):
                self._volumes.remove_image(target.domain_id, target.image_id)
        except UsedByOthers as error:
            raise ContainerImageInUse(image_id=target.image_id, users=error.fields["users"]) from error

    def _opened(self, archive: Archive, user: str) -> ImportSource:
        path = Path(self._volumes.prepare(archive.ref, user=user))
        return archive_source(path, archive.kind, reference=archive.reference)

    def _publish(self, path: Path, ref: VolumeRef, description: str, facts: Mapping[str, Any]) -> None:
        directory = path.parent
        size = _hand_over(path)
        volume = VolumeFacts(
            ref=ref,
            path=path,
            format=ImageFormat.RAW,
            allocation=Allocation.SPARSE,
            capacity_bytes=size,
            disk_type=CONTAINER_IMAGE_DISK_TYPE,
            description=description,
            is_shared=False,
            is_legal=True,
            generation=0,
        )
        self._volumes.write_metadata(volume, directory)
        sync_directory(directory)
        self._remember(_identity(path), facts)
        self.check_free(ref)
        os.rename(directory, self._image_directory(ref))
        sync_directory(directory.parent)

    def _image(self, volume: VolumeFacts, facts: Mapping[str, Any]) -> ContainerImage:
        return ContainerImage(volume=volume, facts=facts, users=self._volumes.users(volume.ref))

    def _facts(self, volume: VolumeFacts) -> Mapping[str, Any] | None:
        if volume.disk_type != CONTAINER_IMAGE_DISK_TYPE or volume.format is not ImageFormat.RAW:
            return None
        key = _identity(volume.path)
        with self._lock:
            if key in self._known:
                return self._known[key]
        facts = self._program.inspect(volume.path)
        self._remember(key, facts)
        return facts

    def _remember(self, key: tuple[int, ...], facts: Mapping[str, Any] | None) -> None:
        with self._lock:
            self._known[key] = facts
            while len(self._known) > _KNOWN_LIMIT:
                self._known.pop(next(iter(self._known)))

    def _image_directory(self, ref: VolumeRef) -> Path:
        return self._volumes.images_directory(ref.domain_id) / checked_id(ref.image_id)

    def _stage(self, params: Params) -> Path:
        target = VolumeRef(**params["target"])
        images = self._volumes.images_directory(target.domain_id)
        return images / f"{_STAGE}{checked_id(params['job_id'])}"


def _mark(params: Params) -> str:
    """The name of an empty file that tells whose image it is, from before it appears until it is whole."""
    return f".{checked_id(params['job_id'])}"


def _hand_over(path: Path) -> int:
    """Give file and directory to the owner of storage files; gives the size, rounded up to whole blocks.

    By descriptors, because that owner may put links in its directories.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        descriptor = os.open(path.name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            size = -(-os.fstat(descriptor).st_size // _BLOCK) * _BLOCK
            os.ftruncate(descriptor, size)
            os.fchown(descriptor, STORAGE_UID, STORAGE_GID)
            os.fchmod(descriptor, _FILE_MODE)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.fchown(directory, STORAGE_UID, STORAGE_GID)
        os.fchmod(directory, _DIRECTORY_MODE)
    finally:
        os.close(directory)
    return size


def _archive(params: Params) -> Archive | None:
    value = params.get("archive")
    if value is None:
        return None
    return Archive(ref=VolumeRef(**value["ref"]), kind=ArchiveKind(value["kind"]), reference=value["reference"])


def _identity(path: Path) -> tuple[int, ...]:
    """What changes when somebody writes to the file, or puts another in its place."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
