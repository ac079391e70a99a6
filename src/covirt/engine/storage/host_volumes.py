# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs by which a host makes, extends and removes volumes of disks.

Each may be called again: after a kill of the engine nobody knows whether the host has had the last one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from covirt.engine.hosts.errors import HostRefused
from covirt.engine.model.disk import Disk, DiskFormat
from covirt.engine.storage.errors import HostTaskFailed
from covirt.engine.storage.host_storage import HostStorage
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

_FORMATS: Final = {DiskFormat.COW: "COW", DiskFormat.RAW: "RAW"}
GONE: Final = (Code.NO_SUCH_IMAGE, Code.NO_SUCH_VOLUME, Code.IMAGE_PATH)
_CREATE: Final = "Volume.create"
_LONG_SECONDS: Final = 24 * 3600.0  # all blocks of a large one are written


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSizes:
    """In bytes: what a guest sees, and what it takes on storage."""

    capacity: int
    actual: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostVolumes:
    """Of a pool, by the host that manages it."""

    storage: HostStorage
    pool_id: str

    def begin_create(self, disk: Disk, *, parent_id: str = "") -> str:
        """The id of the host's task, for finish_create; empty when the volume is there. A volume appears when it is
        whole, and nobody else has its id: an earlier call has made it. ``parent_id``: the volume of the disk that it
        builds on. Raises what Hosts.call raises."""
        params: dict[str, Json] = {
            **self.ids(disk),
            "size": disk.provisioned_size_bytes,
            "volFormat": _FORMATS[disk.format],
            "preallocate": "SPARSE" if disk.sparse else "PREALLOCATED",
            "diskType": "DATA",
            "desc": disk.name,
        }
        if parent_id:
            params |= {"srcImgUUID": disk.id, "srcVolUUID": parent_id}
        try:
            return self.storage.begin_task(_CREATE, params)
        except HostRefused as error:
            if error.code != Code.VOLUME_EXISTS:
                raise
        return ""

    def finish_create(self, disk: Disk, task_id: str) -> None:
        """Also one whose task was cleared by an earlier call. Raises HostTaskFailed, and what Hosts.call raises."""
        if not task_id:
            return
        try:
            self.storage.wait_task(_CREATE, task_id, seconds=_LONG_SECONDS)
        except HostRefused as error:
            if error.code != Code.NO_SUCH_TASK or not self.is_there(disk):
                raise
        except HostTaskFailed:
            if not self.is_there(disk):
                raise

    def extend(self, disk: Disk, size_bytes: int) -> None:
        """Also one that has the size already."""
        if self.sizes(disk).capacity >= size_bytes:
            return
        params: dict[str, Json] = {**self.ids(disk), "newSize": size_bytes}
        self.storage.finish_task("Volume.extendSize", params, seconds=_LONG_SECONDS)

    def remove(self, disk: Disk) -> None:
        """With its whole image; one that is not there was removed by an earlier call."""
        params: dict[str, Json] = {key: value for key, value in self.ids(disk).items() if key != "volumeID"} | {
            "postZero": disk.wipe_after_delete,
            "force": False,
        }
        try:
            self.storage.finish_task("Image.delete", params, seconds=_LONG_SECONDS)
        except HostRefused as error:
            if error.code not in GONE:
                raise
        except HostTaskFailed:
            if self.is_there(disk):
                raise

    def is_there(self, disk: Disk) -> bool:
        try:
            self.info(disk)
        except HostRefused as error:
            if error.code in GONE:
                return False
            raise
        return True

    def sizes(self, disk: Disk) -> VolumeSizes:
        info = self.info(disk)
        return VolumeSizes(capacity=whole(info.get("capacity")), actual=whole(info.get("truesize")))

    def info(self, disk: Disk) -> Mapping[str, Json]:
        answer = self.storage.call("Volume.getInfo", self.ids(disk))
        return answer if isinstance(answer, Mapping) else {}

    def ids(self, disk: Disk) -> dict[str, Json]:
        return {
            "storagepoolID": self.pool_id,
            "storagedomainID": disk.storage_domain_id,
            "imageID": disk.id,
            "volumeID": disk.image_id,
        }


def whole(value: Json) -> int:
    return int(value) if isinstance(value, int | float | str) else 0
