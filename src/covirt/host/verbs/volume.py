# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes of storage domains, answered; what takes long is a task."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Final

from covirt.host.storage.domain_format import BLANK_ID
from covirt.host.storage.image_volumes import Allocation
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage import Storage
from covirt.host.storage.storage_errors import (
    BadStorageValue,
    BrokenVolumeMetadata,
    WrongVolumeFormat,
    WrongVolumeType,
)
from covirt.host.storage.storage_paths import checked_uuid, named_uuid
from covirt.host.storage.tasks import Tasks
from covirt.host.storage.volume_format import Legality, Place, VolumeMetadata, checked_disk_type, format_name
from covirt.host.storage.volume_work import COPY, CREATE, DELETE, EXTEND, NewVolume, rounded
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.verbs.volume_ids import volume_ref
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.json import JsonObject, JsonValue
from covirt.hostapi.storage import (
    CopyVolumeParams,
    CreateVolumeParams,
    DeleteVolumeParams,
    DescribeVolumeParams,
    ExtendVolumeParams,
    LegalityParams,
    VolumeParams,
)

# As numbers and as names; 0 and 3 are Vdsm's "unknown".
_FORMATS: Final[Mapping[str, ImageFormat]] = {
    "4": ImageFormat.QCOW2, "COW": ImageFormat.QCOW2, "5": ImageFormat.RAW, "RAW": ImageFormat.RAW,
}  # fmt: skip
_ALLOCATIONS: Final[Mapping[str, Allocation]] = {
    "1": Allocation.PREALLOCATED, "PREALLOCATED": Allocation.PREALLOCATED,
    "2": Allocation.SPARSE, "SPARSE": Allocation.SPARSE,
}  # fmt: skip
_PLACES: Final[Mapping[str, Place]] = {
    "6": Place.SHARED, "SHARED": Place.SHARED, "8": Place.LEAF, "LEAF": Place.LEAF,
}  # fmt: skip
_UNKNOWN: Final = frozenset({"0", "3", "UNKNOWN"})


class VolumeVerbs:
    def __init__(self, *, storage: Storage, tasks: Tasks) -> None:
        self._storage = storage
        self._tasks = tasks

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "Volume.create": self.create,
            "Volume.copy": self.copy,
            "Volume.extendSize": self.extend_size,
            "Volume.delete": self.delete,
            "Volume.getInfo": self.get_info,
            "Volume.getSize": self.get_size,
            "Volume.setDescription": self.set_description,
            "Volume.setLegality": self.set_legality,
        }

    def create(self, params: CreateVolumeParams, _context: CallContext) -> JsonValue:
        ref = self._managed(params)
        if params.bitmap is not None or params.add_bitmaps:
            raise BadStorageValue(name="bitmap", value=True, reason="bitmaps are not kept on this host")
        new = NewVolume(
            ref=ref,
            capacity_bytes=rounded(params.size_bytes),
            format=_format(params.format),
            allocation=_allocation(params.allocation),
            disk_type=checked_disk_type(params.disk_type),
            description=params.description,
            parent=_parent(ref, params),
            is_legal=params.is_legal,
            sequence=params.sequence,
        )
        if params.initial_bytes and new.format is ImageFormat.QCOW2:
            raise BadStorageValue(name="initialSize", value=params.initial_bytes, reason="files need none")
        self._bounded(ref, lambda: self._storage.work.check_new(new))
        return self._tasks.submit(CREATE, new.as_params())

    def copy(self, params: CopyVolumeParams, _context: CallContext) -> JsonValue:
        source = self._managed(params)
        facts = self._storage.volumes.volume(source)
        target_domain = source.domain_id if params.target_domain_id == BLANK_ID else params.target_domain_id
        target_domain = checked_uuid("dstSdUUID", target_domain)
        self._storage.pools.require_active(source.pool_id, target_domain)
        new = NewVolume(
            ref=VolumeRef(
                pool_id=source.pool_id,
                domain_id=target_domain,
                image_id=named_uuid("dstImgUUID", params.target_image_id),
                volume_id=named_uuid("dstVolUUID", params.target_volume_id),
            ),
            capacity_bytes=facts.capacity_bytes,
            format=facts.format if str(params.format) in _UNKNOWN else _format(params.format),
            allocation=facts.allocation if str(params.allocation) in _UNKNOWN else _allocation(params.allocation),
            disk_type=facts.disk_type,
            description=params.description or facts.description,
            place=_place(params.place),
        )
        self._bounded(new.ref, lambda: self._storage.work.check_new(new))
        return self._tasks.submit(COPY, {**new.as_params(), "source": asdict(source)})

    def extend_size(self, params: ExtendVolumeParams, _context: CallContext) -> JsonValue:
        ref, capacity = self._managed(params), rounded(params.size_bytes)
        self._bounded(ref, lambda: self._storage.work.check_extend(ref, capacity))
        return self._tasks.submit(EXTEND, {"ref": asdict(ref), "capacity_bytes": capacity})

    def delete(self, params: DeleteVolumeParams, _context: CallContext) -> JsonValue:
        ref, force = self._managed(params), str(params.force).lower() == "true"
        self._bounded(ref, lambda: self._storage.work.check_delete(ref, force=force))
        zero = str(params.post_zero).lower() == "true"
        return self._tasks.submit(DELETE, {"ref": asdict(ref), "force": force, "zero": zero})

    def get_info(self, params: VolumeParams, _context: CallContext) -> JsonValue:
        ref = volume_ref(params)
        domain = self._storage.domains.get(ref.domain_id)

        def read() -> JsonObject:
            try:
                metadata = domain.volume_metadata(ref.image_id, ref.volume_id)
            except BrokenVolumeMetadata:
                # An engine shows such a volume, and lets its user delete it.
                return {"apparentsize": "0", "truesize": "0", "status": "INVALID", "children": []}
            size = domain.size(ref.image_id, ref.volume_id)
            sizes = {"apparentsize": str(size.apparent_bytes), "truesize": str(size.true_bytes)}
            return {**_info(ref, metadata), **sizes}

        return self._storage.calls.call(domain.id, read)

    def get_size(self, params: VolumeParams, _context: CallContext) -> JsonValue:
        ref = volume_ref(params)
        domain = self._storage.domains.get(ref.domain_id)
        size = self._storage.calls.call(domain.id, lambda: domain.size(ref.image_id, ref.volume_id))
        return {"truesize": str(size.true_bytes), "apparentsize": str(size.apparent_bytes)}

    def set_description(self, params: DescribeVolumeParams, _context: CallContext) -> JsonValue:
        self._change(self._managed(params), description=params.description)
        return None

    def set_legality(self, params: LegalityParams, _context: CallContext) -> JsonValue:
        try:
            legality = Legality(params.legality.upper())
        except ValueError:
            reason = f"one of {', '.join(Legality)} is"
            raise BadStorageValue(name="legality", value=params.legality, reason=reason) from None
        self._change(self._managed(params), legality=legality)
        return None

    def _managed(self, params: VolumeParams) -> VolumeRef:
        """Of a pool that this host manages, in an active domain."""
        ref = volume_ref(params)
        self._storage.pools.require_managed_domain(ref.pool_id, ref.domain_id)
        return ref

    def _change(self, ref: VolumeRef, **changes: object) -> None:
        domain = self._storage.domains.get(ref.domain_id)

        def changed(metadata: VolumeMetadata) -> VolumeMetadata:
            return replace(metadata, **changes)  # type: ignore[arg-type]

        self._storage.calls.call(domain.id, lambda: domain.change_volume(ref.image_id, ref.volume_id, changed))

    def _bounded(self, ref: VolumeRef, check: Callable[[], object]) -> None:
        self._storage.calls.call(ref.domain_id, check)


def _parent(ref: VolumeRef, params: CreateVolumeParams) -> VolumeRef | None:
    volume_id = checked_uuid("srcVolUUID", params.source_volume_id)
    if volume_id == BLANK_ID:
        return None
    image_id = checked_uuid("srcImgUUID", params.source_image_id)
    return replace(ref, image_id=ref.image_id if image_id == BLANK_ID else image_id, volume_id=volume_id)


def _info(ref: VolumeRef, metadata: VolumeMetadata) -> JsonObject:
    illegal = metadata.legality is Legality.ILLEGAL
    return {
        "uuid": ref.volume_id,
        "type": metadata.allocation,
        "format": format_name(metadata.format),
        "disktype": metadata.disk_type,
        "voltype": metadata.place,
        "capacity": str(metadata.capacity_bytes),
        "parent": metadata.parent_id,
        "description": metadata.description,
        "pool": "",
        "domain": metadata.domain_id,
        "image": metadata.image_id,
        "ctime": str(metadata.created_at),
        "mtime": "0",
        "legality": metadata.legality,
        "generation": metadata.generation,
        "sequence": metadata.sequence,
        "status": "ILLEGAL" if illegal else "OK",
        "children": [],
    }


def _format(value: str | int) -> ImageFormat:
    try:
        return _FORMATS[str(value).upper()]
    except KeyError:
        raise WrongVolumeFormat(value=value, reason="4 (COW) and 5 (RAW) are") from None


def _allocation(value: str | int) -> Allocation:
    try:
        return _ALLOCATIONS[str(value).upper()]
    except KeyError:
        raise WrongVolumeType(value=value) from None


def _place(value: str | int) -> Place:
    try:
        return _PLACES[str(value).upper()]
    except KeyError:
        raise BadStorageValue(name="volType", value=value, reason="6 (SHARED) and 8 (LEAF) are known") from None
