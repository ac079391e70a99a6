# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Container images in storage domains: imported straight into a volume, listed, inspected, removed when unused.

In the domain's format a container image is a raw volume of disk type ISOF, a read-only disc. An import works in a
directory that no reader of the format takes for an image and that its job knows, and becomes an image by one rename.
"""

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from covirt.common.errors import Conflict, Error, NotFound
from covirt.host.storage.bounded import storage_failures
from covirt.host.storage.container_import import (
    ArchiveKind,
    ContainerImageProgram,
    Credentials,
    ImportSource,
    archive_source,
)
from covirt.host.storage.directory import Directory
from covirt.host.storage.file_domain import STAGE_PREFIX
from covirt.host.storage.image_volumes import (
    CONTAINER_IMAGE_DISK_TYPE,
    JOB_PREFIX,
    Allocation,
    ImageVolumes,
    VolumeFacts,
)
from covirt.host.storage.operation import Control, Kind, Params, checked_id
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_errors import UsedByOthers
from covirt.host.virt.volumes import VolumeRef

log = logging.getLogger(__name__)

IMPORT: Final = "import_container_image"
REMOVE: Final = "remove_container_image"
_STAGE: Final = f"{STAGE_PREFIX}import_"
# Nobody writes to it again; the bits say so to whoever opens it as the owner of storage files.
_FILE_MODE: Final = 0o440
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
    what = {key: asdict(source), "description": description}
    return {"job_id": job_id, "stage": f"{_STAGE}{uuid4().hex}", "target": asdict(target), **what}


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
        with self._volumes.images(ref.domain_id, pool_id=ref.pool_id) as images:
            self._check_free(images, ref)

    @staticmethod
    def _check_free(images: Directory, ref: VolumeRef) -> None:
        if images.has(checked_id(ref.image_id)):
            raise ContainerImageExists(image_id=ref.image_id, domain_id=ref.domain_id)

    def list(self, domain_id: str) -> Sequence[ContainerImage]:
        """All of a domain."""
        found = []
        for volume in self._volumes.volumes(domain_id):
            try:
                facts = self._facts(volume)
            except Error as error:  # one that goes just now, or is damaged, hides no other
                log.warning("A container image is left out volume=%s: %s", volume.ref, error)
                continue
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
        """Root works where the owner of storage files may put links: all of it by open directories."""
        target = VolumeRef(**params["target"])
        with storage_failures(target.domain_id), self._volumes.images(target.domain_id) as images:
            self._check_free(images, target)
            with images.make_private(params["stage"]) as stage:
                facts = self._import(stage, target, params, control)
                stage.create(_mark(params), mode=_FILE_MODE)
                self._publish(images, stage, params, facts)
            with images.sub(checked_id(target.image_id)) as image:
                image.unlink(_mark(params))
        control.progress(100)

    def _import(self, stage: Directory, target: VolumeRef, params: Params, control: Control) -> Mapping[str, Any]:
        login = Credentials(**control.secrets) if control.secrets else None
        path = stage.path_of_programs / checked_id(target.volume_id)
        with self._source(params) as source:
            return self._program.import_to(path, source, login=login, job_id=params["job_id"], control=control)

    @contextmanager
    def _source(self, params: Params) -> Iterator[ImportSource]:
        archive = _archive(params)
        if archive is None:
            yield ImportSource(**params["source"])
            return
        user = f"{JOB_PREFIX}{params['job_id']}"
        try:
            self._volumes.prepare(archive.ref, user=user)
            with self._opened(archive.ref) as path:
                yield archive_source(
                    path, archive.kind, reference=archive.reference, name=f"volume {archive.ref.volume_id}"
                )
        finally:
            self._volumes.teardown(archive.ref, user=user)

    def undo_import(self, params: Params) -> None:
        """Remove what this job made, and nothing that another put at the target meanwhile."""
        target = VolumeRef(**params["target"])
        archive = _archive(params)
        if archive is not None:
            self._volumes.teardown(archive.ref, user=f"{JOB_PREFIX}{params['job_id']}")
        self._program.forget_login(params["job_id"])
        with self._volumes.images(target.domain_id) as images:
            images.remove(params["stage"])
            try:
                with images.sub(checked_id(target.image_id)) as image:
                    is_ours = image.has(_mark(params))
            except OSError:  # none, or another one's link
                is_ours = False
        if is_ours:
            self._volumes.remove_image(target.domain_id, target.image_id)

    def run_remove(self, params: Params, _control: Control) -> None:
        target = VolumeRef(**params["target"])
        try:
            with self._volumes.alone(target.domain_id, target.image_id, None, purpose="its removal"):
                self._volumes.remove_image(target.domain_id, target.image_id)
        except UsedByOthers as error:
            raise ContainerImageInUse(image_id=target.image_id, users=error.fields["users"]) from error

    @contextmanager
    def _opened(self, ref: VolumeRef) -> Iterator[Path]:
        """The volume's file for a program that root runs: no link leads it elsewhere."""
        image_id, volume_id = checked_id(ref.image_id), checked_id(ref.volume_id)
        with (
            self._volumes.images(ref.domain_id) as images,
            images.sub(image_id) as image,
            image.file_of_programs(volume_id) as path,
        ):
            yield path

    def _publish(self, images: Directory, stage: Directory, params: Params, facts: Mapping[str, Any]) -> None:
        ref = VolumeRef(**params["target"])
        name = checked_id(ref.volume_id)
        volume = VolumeFacts(
            ref=ref,
            path=Path(name),
            format=ImageFormat.RAW,
            allocation=Allocation.SPARSE,
            capacity_bytes=stage.seal(name, block_bytes=_BLOCK, mode=_FILE_MODE),
            disk_type=CONTAINER_IMAGE_DISK_TYPE,
            description=params["description"],
            is_shared=False,
            is_legal=True,
            generation=0,
        )
        self._volumes.write_metadata(volume, stage)
        stage.handed_over()
        stage.sync()
        found = stage.status(name)
        if found is not None:
            self._remember(_identity(found), facts)
        self._check_free(images, ref)
        images.rename(params["stage"], images, checked_id(ref.image_id))
        images.sync()

    def _image(self, volume: VolumeFacts, facts: Mapping[str, Any]) -> ContainerImage:
        return ContainerImage(volume=volume, facts=facts, users=self._volumes.users(volume.ref))

    def _facts(self, volume: VolumeFacts) -> Mapping[str, Any] | None:
        if volume.disk_type != CONTAINER_IMAGE_DISK_TYPE or volume.format is not ImageFormat.RAW:
            return None
        with storage_failures(volume.ref.domain_id), self._opened(volume.ref) as path:
            key = _identity(path.stat())
            with self._lock:
                if key in self._known:
                    return self._known[key]
            facts = self._program.inspect(path)
        self._remember(key, facts)
        return facts

    def _remember(self, key: tuple[int, ...], facts: Mapping[str, Any] | None) -> None:
        with self._lock:
            self._known[key] = facts
            while len(self._known) > _KNOWN_LIMIT:
                self._known.pop(next(iter(self._known)))


def _mark(params: Params) -> str:
    """The name of an empty file that tells whose image it is, from before it appears until it is whole."""
    return f".{checked_id(params['job_id'])}"


def _archive(params: Params) -> Archive | None:
    value = params.get("archive")
    if value is None:
        return None
    return Archive(ref=VolumeRef(**value["ref"]), kind=ArchiveKind(value["kind"]), reference=value["reference"])


def _identity(found: os.stat_result) -> tuple[int, ...]:
    """What changes when somebody writes to the file, or puts another in its place."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
