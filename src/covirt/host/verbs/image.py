# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disk images, and what is in volumes."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from covirt.host.storage import qemu_img
from covirt.host.storage.disk_images import DELETE_IMAGE, DiskImages, ImageInUse, delete_params
from covirt.host.storage.image_volumes import ENGINE, ImageVolumes, UnknownVolumeFormat, VolumeIsIllegal
from covirt.host.storage.operation import Record
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_paths import checked_uuid
from covirt.host.storage.tasks import Tasks
from covirt.host.storage.volume_work import COPY, CREATE, NewVolume
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.verbs.volume_ids import volume_ref
from covirt.hostapi.image import (
    DeleteImageParams,
    DiskImageParams,
    MeasureParams,
    PrepareImageParams,
    TeardownImageParams,
    VolumeContentParams,
)
from covirt.hostapi.json import JsonValue

_FORMATS: Final[Mapping[str, ImageFormat]] = {
    "4": ImageFormat.QCOW2, "COW": ImageFormat.QCOW2, "5": ImageFormat.RAW, "RAW": ImageFormat.RAW,
}  # fmt: skip

_GIVE_UP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.05


class ImageVerbs:
    """``require_managed`` takes a pool's and a domain's id, and raises where this host may not change the domain."""

    def __init__(
        self,
        *,
        images: DiskImages,
        volumes: ImageVolumes,
        tasks: Tasks,
        require_managed: Callable[[str, str], object],
    ) -> None:
        self._images = images
        self._volumes = volumes
        self._tasks = tasks
        self._require_managed = require_managed

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "Image.prepare": self.prepare,
            "Image.teardown": self.teardown,
            "Image.delete": self.delete,
            "Image.getVolumes": self.get_volumes,
            "Volume.getQemuImageInfo": self.get_qemu_image_info,
            "Volume.measure": self.measure,
            "Volume.verify_untrusted": self.verify_untrusted,
        }

    def prepare(self, params: PrepareImageParams, _context: CallContext) -> JsonValue:
        ref = volume_ref(params)
        if not params.allow_illegal and not self._volumes.volume(ref).is_legal:
            raise VolumeIsIllegal(ref=ref)
        return {"path": self._volumes.prepare(ref, user=ENGINE, as_is=True)}

    def teardown(self, params: TeardownImageParams, _context: CallContext) -> JsonValue:
        domain_id, image_id = _image_ids(params)
        volume_id = checked_uuid("volumeID", params.volume_id) if params.volume_id else None
        self._volumes.give_back(domain_id, image_id, volume_id=volume_id, user=ENGINE)
        return None

    def delete(self, params: DeleteImageParams, _context: CallContext) -> JsonValue:
        domain_id, image_id = _image_ids(params)
        self._require_managed(params.pool_id, domain_id)
        self._give_up_making(domain_id, image_id)
        self._images.check_removable(domain_id, image_id)
        zero = str(params.post_zero).lower() == "true"
        return self._tasks.submit(DELETE_IMAGE, delete_params(domain_id=domain_id, image_id=image_id, zero=zero))

    def _give_up_making(self, domain_id: str, image_id: str) -> None:
        """Who removes an image does not want what is still on its way into it. A volume appears when it is whole: an
        engine that was told "there is none" would never look again. Raises ImageInUse where it does not end."""
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while making := [each for each in self._tasks.list() if _makes(each, domain_id, image_id)]:
            for record in making:
                self._tasks.abort(record.id)
            if time.monotonic() > deadline:
                raise ImageInUse(image_id=image_id, users="a task that makes a volume in it, and does not end")
            time.sleep(_LOOK_SECONDS)

    def get_volumes(self, params: DiskImageParams, _context: CallContext) -> JsonValue:
        found = self._images.volumes_of(*_image_ids(params))
        return [volume.ref.volume_id for volume in found]

    def get_qemu_image_info(self, params: VolumeContentParams, _context: CallContext) -> JsonValue:
        volume = self._volumes.volume(volume_ref(params))
        found = self._volumes.bounded(volume.ref.domain_id, lambda: qemu_img.info(volume.layer))
        optional = {"clustersize": found.cluster_bytes, "compat": found.compat, "backingfile": found.backing_file}
        info: dict[str, JsonValue] = {"format": found.format, "virtualsize": found.virtual_bytes}
        info |= {key: value for key, value in optional.items() if value is not None}
        if found.bitmaps:
            info["bitmaps"] = list(found.bitmaps)
        return info

    def measure(self, params: MeasureParams, _context: CallContext) -> JsonValue:
        volume = self._volumes.volume(volume_ref(params))
        target = _FORMATS.get(str(params.target_format).upper())
        if target is None:
            raise UnknownVolumeFormat(format=params.target_format)
        measured = self._volumes.bounded(
            volume.ref.domain_id, lambda: qemu_img.measure(volume.layer, target_format=target)
        )
        return {"required": measured.required_bytes, "fully-allocated": measured.fully_allocated_bytes}

    def verify_untrusted(self, params: VolumeContentParams, _context: CallContext) -> JsonValue:
        self._images.verify(volume_ref(params))
        return None


def _makes(record: Record, domain_id: str, image_id: str) -> bool:
    if record.kind not in (CREATE, COPY) or record.state.is_final:
        return False
    ref = NewVolume.from_params(record.params).ref
    return (ref.domain_id, ref.image_id) == (domain_id, image_id)


def _image_ids(params: DiskImageParams) -> tuple[str, str]:
    """Of the domain and the image. Raises BadStorageId."""
    return checked_uuid("storagedomainID", params.domain_id), checked_uuid("imageID", params.image_id)
