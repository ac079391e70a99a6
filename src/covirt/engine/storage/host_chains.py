# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs by which a host makes, merges and removes the volumes that one disk's snapshots are.

Each may be called again. A disk's volumes are a chain: each holds what has changed since the one that it builds on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from covirt.engine.hosts.errors import HostRefused
from covirt.engine.model.disk import Disk, DiskFormat
from covirt.engine.storage.errors import ChainTooLong, HostTaskFailed
from covirt.engine.storage.host_jobs import HostJobs
from covirt.engine.storage.host_volumes import GONE, HostVolumes, whole
from covirt.hostapi.errors import Code
from covirt.hostapi.storage import BLANK_ID
from covirt.rpc.jsonrpc import Json

_LONGEST: Final = 512
_LONG_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFacts:
    """``actual_bytes``: that it takes on storage."""

    format: DiskFormat
    sparse: bool
    capacity_bytes: int
    actual_bytes: int
    legal: bool
    parent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostChain:
    """Of a disk, whose ``image_id`` is the volume on top."""

    volumes: HostVolumes
    disk: Disk

    def facts(self, volume_id: str) -> VolumeFacts:
        """Raises what Hosts.call raises."""
        info = self.volumes.info(self._at(volume_id))
        parent_id = str(info.get("parent") or BLANK_ID)
        return VolumeFacts(
            format=DiskFormat.RAW if str(info.get("format")).upper() == "RAW" else DiskFormat.COW,
            sparse=str(info.get("type")).upper() == "SPARSE",
            capacity_bytes=whole(info.get("capacity")),
            actual_bytes=whole(info.get("truesize")),
            legal=str(info.get("legality")).upper() == "LEGAL",
            parent_id="" if parent_id == BLANK_ID else parent_id,
        )

    def above(self, volume_id: str, *, top_id: str = "") -> Sequence[str]:
        """The volumes from the top, or from this one, down to the one that builds on ``volume_id``. Raises
        ChainTooLong, and what Hosts.call raises when the chain does not lead there."""
        found: list[str] = []
        current = top_id or self.disk.image_id
        while current != volume_id:
            found.append(current)
            current = self.facts(current).parent_id
            if len(found) > _LONGEST:
                raise ChainTooLong(disk=self.disk.name)
        return found

    def create(self, volume_id: str, *, parent_id: str) -> None:
        """An empty one that builds on the other."""
        size = self.facts(parent_id).capacity_bytes
        above = replace(self._at(volume_id), format=DiskFormat.COW, sparse=True, provisioned_size_bytes=size)
        self.volumes.finish_create(above, self.volumes.begin_create(above, parent_id=parent_id))

    def delete(self, volume_id: str) -> None:
        """On which none builds; one that is not there was deleted by an earlier call."""
        volume = self._at(volume_id)
        params: dict[str, Json] = {
            **self.volumes.ids(volume),
            "postZero": volume.wipe_after_delete,
            "force": False,
        }
        try:
            self.volumes.storage.finish_task("Volume.delete", params, seconds=_LONG_SECONDS)
        except HostRefused as error:
            if error.code not in (*GONE, Code.NO_SUCH_TASK) or self.volumes.is_there(volume):
                raise
        except HostTaskFailed:
            if self.volumes.is_there(volume):
                raise

    def enlarge(self, top_id: str, base_id: str) -> None:
        """So that what the upper one holds has room in the lower."""
        self._merge_task("StoragePool.prepareMerge", top_id, base_id)

    def merge(self, jobs: HostJobs, job_id: str, top_id: str, base_id: str) -> None:
        """What the upper one holds is in the lower, too, after that."""
        params: dict[str, Json] = {"subchain_info": self._subchain(top_id, base_id)}
        jobs.finish("SDM.merge", params, job_id=job_id, id_field="job_id")

    def skip(self, top_id: str, base_id: str) -> None:
        """What builds on the upper one builds on the lower after that, and the upper one can be deleted."""
        self._merge_task("StoragePool.finalizeMerge", top_id, base_id)

    def _merge_task(self, verb: str, top_id: str, base_id: str) -> None:
        params: dict[str, Json] = {
            "storagepoolID": self.volumes.pool_id,
            "subchainInfo": self._subchain(top_id, base_id),
        }
        self.volumes.storage.finish_task(verb, params, seconds=_LONG_SECONDS)

    def _subchain(self, top_id: str, base_id: str) -> Mapping[str, Json]:
        return {
            "sd_id": self.disk.storage_domain_id,
            "img_id": self.disk.id,
            "top_id": top_id,
            "base_id": base_id,
        }

    def _at(self, volume_id: str) -> Disk:
        return replace(self.disk, image_id=volume_id)
