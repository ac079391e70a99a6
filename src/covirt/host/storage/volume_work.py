# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks that make, copy, extend and delete volumes; each bears being killed at any moment.

A new volume is built in a directory of its own that no reader of the format takes for an image, and appears under its
name by hard links: whoever takes the work back knows by the files' identity what is its own.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Protocol
from uuid import uuid4

from covirt.common.errors import NotFound
from covirt.host.storage import qemu_img
from covirt.host.storage.bounded import storage_failures
from covirt.host.storage.directory import FILE_MODE, METADATA_MODE, Directory
from covirt.host.storage.domain_format import BLANK_ID
from covirt.host.storage.file_domain import STAGE_PREFIX, FileDomain, meta_name
from covirt.host.storage.image_volumes import Allocation, VolumeFacts, VolumeIsIllegal, check_still
from covirt.host.storage.operation import Control, Kind, Params
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_errors import (
    BadStorageValue,
    NoSpaceLeft,
    SharedVolumeKept,
    UsedByOthers,
    VolumeExists,
    VolumeHasChildren,
    VolumeInUse,
    VolumeNotGrowable,
    VolumeNotShared,
    VolumeWouldShrink,
    WrongVolumeFormat,
)
from covirt.host.storage.volume_format import Legality, Place, VolumeMetadata
from covirt.host.virt.volumes import VolumeRef

log = logging.getLogger(__name__)

CREATE: Final = "createVolume"
COPY: Final = "copyImage"
EXTEND: Final = "extendVolumeSize"
DELETE: Final = "deleteVolume"
_STAGE: Final = f"{STAGE_PREFIX}new_"
_VOLUME: Final = "volume"
_METADATA: Final = "metadata"
BLOCK: Final = 4096  # sizes are whole blocks; a raw volume's first one is real, so that QEMU can probe alignment

GetDomain = Callable[[str], FileDomain]
GetUsers = Callable[[VolumeRef], frozenset[str]]


class Claims(Protocol):
    """Who changes volumes at the same time; StateFile tells more."""

    def alone(
        self, domain_id: str, image_id: str, volume_id: str | None, *, purpose: str
    ) -> AbstractContextManager[None]: ...

    def beside_others(
        self, domain_id: str, image_id: str, volume_id: str, *, purpose: str
    ) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVolume:
    """``parent``: the volume it builds on, in its own image or in a template's."""

    ref: VolumeRef
    capacity_bytes: int
    format: ImageFormat
    allocation: Allocation
    disk_type: str
    description: str
    place: Place = Place.LEAF
    parent: VolumeRef | None = None
    is_legal: bool = True
    sequence: int = 0

    def as_params(self) -> dict[str, Any]:
        return {**asdict(self), "stage": f"{_STAGE}{uuid4().hex}"}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "NewVolume":
        return cls(
            ref=VolumeRef(**params["ref"]),
            capacity_bytes=params["capacity_bytes"],
            format=ImageFormat(params["format"]),
            allocation=Allocation(params["allocation"]),
            disk_type=params["disk_type"],
            description=params["description"],
            place=Place(params["place"]),
            parent=None if params["parent"] is None else VolumeRef(**params["parent"]),
            is_legal=params["is_legal"],
            sequence=params["sequence"],
        )


def rounded(size_bytes: int) -> int:
    """Up to whole blocks."""
    return -(-size_bytes // BLOCK) * BLOCK


class VolumeWork:
    def __init__(self, *, domain: GetDomain, users: GetUsers, claims: Claims) -> None:
        self._domain = domain
        self._users = users
        self._claims = claims

    def kinds(self) -> Sequence[Kind]:
        return (
            Kind(name=CREATE, run=self.run_create, undo=self.undo_create),
            Kind(name=COPY, run=self.run_copy, undo=self.undo_create),
            Kind(name=EXTEND, run=self.run_extend, again=True),
            Kind(name=DELETE, run=self.run_delete, again=True),
        )

    # create and copy

    def check_new(self, new: NewVolume) -> None:
        """Raises VolumeExists, WrongVolumeFormat, BadStorageValue, VolumeNotShared, VolumeIsIllegal, NoSuchVolume."""
        with storage_failures(new.ref.domain_id):
            self._check_new(new)

    def _check_new(self, new: NewVolume) -> None:
        domain, ref = self._domain(new.ref.domain_id), new.ref
        if ref.volume_id in domain.volume_ids(ref.image_id):
            raise VolumeExists(volume_id=ref.volume_id, image_id=ref.image_id)
        if new.parent is None:
            return
        if new.format is not ImageFormat.QCOW2:
            raise WrongVolumeFormat(value=new.format, reason="a volume that builds on another one must be COW (4)")
        parent = domain.volume_metadata(new.parent.image_id, new.parent.volume_id)
        if parent.legality is Legality.ILLEGAL:
            raise VolumeIsIllegal(ref=new.parent)
        if new.parent.image_id != ref.image_id and parent.place is not Place.SHARED:
            raise VolumeNotShared(volume_id=new.parent.volume_id, image_id=new.parent.image_id)
        if new.capacity_bytes < parent.capacity_bytes:
            reason = f"what it builds on has {parent.capacity_bytes} bytes"
            raise BadStorageValue(name="size", value=new.capacity_bytes, reason=reason)

    def run_create(self, params: Params, control: Control) -> None:
        new = NewVolume.from_params(params)
        with self._kept(new.ref, new.parent):
            self.check_new(new)
            self._build(new, params["stage"], control, fill=lambda _facts: None)

    def run_copy(self, params: Params, control: Control) -> None:
        """The whole chain's content as one volume."""
        new, source = NewVolume.from_params(params), VolumeRef(**params["source"])
        with self._kept(new.ref, source):
            self._copy(new, source, params["stage"], control)

    def _copy(self, new: NewVolume, source: VolumeRef, stage_name: str, control: Control) -> None:
        self.check_new(new)
        facts = self._domain(source.domain_id).facts(source)
        if not facts.is_legal:
            raise VolumeIsIllegal(ref=source)
        check_still(facts, self._users(source))

        def fill(target: VolumeFacts) -> None:
            qemu_img.convert(
                facts.layer,
                target.layer,
                is_zero=True,  # just made; zeros written to a preallocated one would give its blocks back
                progress=control.progress,
                started=control.on_stop,
            )

        self._build(new, stage_name, control, fill=fill)

    @contextmanager
    def _kept(self, *refs: VolumeRef | None) -> Iterator[None]:
        """Nobody removes these volumes or their images meanwhile. Raises VolumeTaken."""
        with ExitStack() as kept:
            for ref in filter(None, refs):
                purpose = "the making of another volume"
                ids = (ref.domain_id, ref.image_id, ref.volume_id)
                kept.enter_context(self._claims.beside_others(*ids, purpose=purpose))
            yield

    def _build(
        self, new: NewVolume, stage_name: str, control: Control, *, fill: Callable[[VolumeFacts], None]
    ) -> None:
        domain, ref = self._domain(new.ref.domain_id), new.ref
        with storage_failures(domain.id), domain.images() as images:
            with images.make(stage_name) as stage:
                facts = _make_file(domain, new, stage_name, stage)
                fill(facts)
                control.check()
                metadata = _metadata(new)
                stage.create(_METADATA, data=metadata.dump(volume_id=ref.volume_id), mode=METADATA_MODE)
                stage.sync()
                with images.make(ref.image_id) as image:
                    _share_parent(images, image, new)
                    _publish(stage, image, ref)
                if new.parent is not None:
                    domain.settle_parent(ref.image_id, new.parent.volume_id)
            images.remove(stage_name)
            images.sync()
        log.info("Volume created domain=%s image=%s volume=%s", domain.id, ref.image_id, ref.volume_id)

    def undo_create(self, params: Params) -> None:
        new, stage_name = NewVolume.from_params(params), params["stage"]
        domain = self._domain(new.ref.domain_id)
        with domain.images() as images:
            try:
                stage = images.sub(stage_name)
            except FileNotFoundError:
                return
            with stage:
                _withdraw(images, stage, new.ref)
            if new.parent is not None:
                domain.settle_parent(new.ref.image_id, new.parent.volume_id)
                _unshare_parent(domain, images, new)
            with contextlib.suppress(OSError):  # other volumes are in it
                images.rmdir(new.ref.image_id)
            images.remove(stage_name)

    # extend

    def check_extend(self, ref: VolumeRef, capacity_bytes: int) -> None:
        """Raises NoSuchVolume, VolumeNotGrowable, VolumeWouldShrink."""
        domain = self._domain(ref.domain_id)
        metadata = domain.volume_metadata(ref.image_id, ref.volume_id)
        if metadata.place is Place.SHARED:
            raise VolumeNotGrowable(volume_id=ref.volume_id, reason="it is a template's")
        if metadata.place is Place.INTERNAL and metadata.parent_id != BLANK_ID:
            raise VolumeNotGrowable(volume_id=ref.volume_id, reason="it is neither on top nor at the bottom")
        if capacity_bytes < metadata.capacity_bytes:
            raise VolumeWouldShrink(volume_id=ref.volume_id, present=metadata.capacity_bytes, asked=capacity_bytes)

    def run_extend(self, params: Params, _control: Control) -> None:
        """A sparse qcow2 volume that somebody uses is left alone: its guest's QEMU extends it (VM.diskSizeExtend)."""
        ref, capacity = VolumeRef(**params["ref"]), rounded(params["capacity_bytes"])
        in_use = bool(self._users(ref))
        with self._kept(ref), storage_failures(ref.domain_id):
            self.extend(ref, capacity, in_use=in_use)

    def extend(self, ref: VolumeRef, capacity: int, *, in_use: bool = False) -> None:
        """Raises as check_extend(). The caller sees to it that nobody removes it meanwhile."""
        self.check_extend(ref, capacity)
        domain = self._domain(ref.domain_id)
        metadata = domain.volume_metadata(ref.image_id, ref.volume_id)
        if in_use and metadata.format is ImageFormat.QCOW2 and metadata.allocation is Allocation.SPARSE:
            return
        with domain.image(ref.image_id) as image:
            present = domain.size(ref.image_id, ref.volume_id).apparent_bytes
            if metadata.format is ImageFormat.QCOW2:
                qemu_img.resize(domain.facts(ref).layer, size_bytes=capacity)
            elif metadata.allocation is Allocation.PREALLOCATED:
                image.allocate(ref.volume_id, start_bytes=present, end_bytes=capacity)
            elif capacity > present:
                image.truncate(ref.volume_id, capacity)
        domain.change_volume(ref.image_id, ref.volume_id, lambda found: replace(found, capacity_bytes=capacity))

    # delete

    def check_delete(self, ref: VolumeRef, *, force: bool) -> None:
        """Raises NoSuchVolume, VolumeInUse, SharedVolumeKept, VolumeHasChildren."""
        domain = self._domain(ref.domain_id)
        if users := self._users(ref):
            raise VolumeInUse(volume_id=ref.volume_id, users=", ".join(sorted(users)))
        metadata = domain.volume_metadata(ref.image_id, ref.volume_id)
        if force:
            return
        if metadata.place is Place.SHARED:
            raise SharedVolumeKept(volume_id=ref.volume_id)
        if children := domain.children(ref.image_id, ref.volume_id):
            raise VolumeHasChildren(volume_id=ref.volume_id, children=", ".join(children))

    def run_delete(self, params: Params, control: Control) -> None:
        ref = VolumeRef(**params["ref"])
        try:
            ids = (ref.domain_id, ref.image_id, ref.volume_id)
            with self._claims.alone(*ids, purpose="its removal"), storage_failures(ref.domain_id):
                self._delete(ref, force=params["force"], wipe=control.check if params.get("zero") else None)
        except UsedByOthers as error:
            raise VolumeInUse(volume_id=ref.volume_id, users=error.fields["users"]) from error

    def _delete(self, ref: VolumeRef, *, force: bool, wipe: Callable[[], object] | None) -> None:
        """The metadata goes last: as long as it is there, another try finds what is left to do.

        ``wipe``: zeros are written over it first, and this is called in between. A template's data stays: it is
        in the images that build on it, too.
        """
        domain = self._domain(ref.domain_id)
        if ref.volume_id not in domain.volume_ids(ref.image_id):
            return
        self.check_delete(ref, force=force)
        ids = (ref.image_id, ref.volume_id)
        metadata = domain.volume_metadata(*ids)
        with contextlib.suppress(NoSpaceLeft), storage_failures(domain.id):  # a removal is what makes room
            domain.change_volume(*ids, lambda found: replace(found, legality=Legality.ILLEGAL))
        with domain.images() as images, images.sub(ref.image_id) as image:
            if wipe is not None and metadata.place is not Place.SHARED:
                with contextlib.suppress(FileNotFoundError):  # an earlier try came further
                    image.wipe(ref.volume_id, wipe)
            image.unlink(ref.volume_id)
            image.unlink(f"{ref.volume_id}.lease")
            domain.settle_parent(ref.image_id, metadata.parent_id, without=ref.volume_id)
            with domain.changing(*ids):
                image.unlink(meta_name(ref.volume_id))
            image.sync()
        log.info("Volume deleted domain=%s image=%s volume=%s", domain.id, ref.image_id, ref.volume_id)


def _make_file(domain: FileDomain, new: NewVolume, stage_name: str, stage: Directory) -> VolumeFacts:
    """The empty volume, in the stage."""
    path = domain.images_path / stage_name / _VOLUME
    capacity = new.capacity_bytes
    if new.format is ImageFormat.RAW:
        stage.create(_VOLUME, size_bytes=capacity, mode=FILE_MODE)
        real = capacity if new.allocation is Allocation.PREALLOCATED else min(capacity, BLOCK)
        stage.allocate(_VOLUME, start_bytes=0, end_bytes=real)
    else:
        stage.create(_VOLUME, mode=FILE_MODE)
        backing = None if new.parent is None else domain.volume_metadata(new.parent.image_id, new.parent.volume_id)
        qemu_img.create_qcow2(
            path,
            size_bytes=capacity,
            backing=None if new.parent is None else new.parent.volume_id,
            backing_format=None if backing is None else backing.format,
        )
        if new.allocation is Allocation.PREALLOCATED:
            status = stage.status(_VOLUME)
            start = rounded(0 if status is None else status.st_size)
            stage.allocate(_VOLUME, start_bytes=start, end_bytes=start + capacity)
    return VolumeFacts(
        ref=new.ref,
        path=path,
        format=new.format,
        allocation=new.allocation,
        capacity_bytes=capacity,
        disk_type=new.disk_type,
        description=new.description,
        is_shared=False,
        is_legal=False,
        generation=0,
    )


def _metadata(new: NewVolume) -> VolumeMetadata:
    return VolumeMetadata(
        domain_id=new.ref.domain_id,
        image_id=new.ref.image_id,
        capacity_bytes=new.capacity_bytes,
        format=new.format,
        allocation=new.allocation,
        disk_type=new.disk_type,
        parent_id=BLANK_ID if new.parent is None else new.parent.volume_id,
        place=new.place,
        legality=Legality.LEGAL if new.is_legal else Legality.ILLEGAL,
        description=new.description,
        sequence=new.sequence,
    )


def _publish(stage: Directory, image: Directory, ref: VolumeRef) -> None:
    """The metadata last: without it there is no volume."""
    try:
        stage.link(_VOLUME, image, ref.volume_id)
        stage.link(_METADATA, image, meta_name(ref.volume_id))
    except FileExistsError:
        raise VolumeExists(volume_id=ref.volume_id, image_id=ref.image_id) from None
    image.sync()


def _withdraw(images: Directory, stage: Directory, ref: VolumeRef) -> None:
    """Remove from the image what is the stage's, and nothing else."""
    try:
        image = images.sub(ref.image_id)
    except FileNotFoundError:
        return
    with image:
        for name, published in ((_METADATA, meta_name(ref.volume_id)), (_VOLUME, ref.volume_id)):
            if _same(stage.status(name), image.status(published)):
                image.unlink(published)
        image.sync()


def _same(first: os.stat_result | None, second: os.stat_result | None) -> bool:
    if first is None or second is None:
        return False
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _share_parent(images: Directory, image: Directory, new: NewVolume) -> None:
    """A template's volume is linked into the images that build on it."""
    if new.parent is None or new.parent.image_id == new.ref.image_id:
        return
    with images.sub(new.parent.image_id) as template:
        for name in (new.parent.volume_id, meta_name(new.parent.volume_id)):
            with contextlib.suppress(FileExistsError):  # another volume of the image builds on it, too
                template.link(name, image, name)


def _unshare_parent(domain: FileDomain, images: Directory, new: NewVolume) -> None:
    parent = new.parent
    if parent is None or parent.image_id == new.ref.image_id or domain.children(new.ref.image_id, parent.volume_id):
        return
    with contextlib.suppress(FileNotFoundError, NotFound), images.sub(new.ref.image_id) as image:
        image.unlink(meta_name(parent.volume_id))
        image.unlink(parent.volume_id)
