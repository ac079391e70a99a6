# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Merges of volumes that nobody uses, begun."""

from collections.abc import Mapping

from covirt.host.storage.jobs import Jobs
from covirt.host.storage.merge import FINALIZE, MERGE, PREPARE, Subchain
from covirt.host.storage.operation import checked_id
from covirt.host.storage.storage import Storage
from covirt.host.storage.storage_errors import BadStorageValue
from covirt.host.storage.storage_paths import checked_uuid, named_uuid
from covirt.host.storage.tasks import Tasks
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.verbs.sdm import NO_POOL
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.json import JsonValue
from covirt.hostapi.sdm import MergeParams, PoolMergeParams, SubchainParams


class MergeVerbs:
    def __init__(self, *, storage: Storage, tasks: Tasks, jobs: Jobs) -> None:
        self._storage = storage
        self._tasks = tasks
        self._jobs = jobs

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "StoragePool.prepareMerge": self.prepare,
            "SDM.merge": self.merge,
            "StoragePool.finalizeMerge": self.finalize,
        }

    def prepare(self, params: PoolMergeParams, _context: CallContext) -> JsonValue:
        chain = self._managed(params)
        self._storage.calls.call(chain.top.domain_id, lambda: self._storage.merging.check(chain))
        return self._tasks.submit(PREPARE, chain.as_params())

    def merge(self, params: MergeParams, _context: CallContext) -> JsonValue:
        if params.merge_bitmaps:
            raise BadStorageValue(name="merge_bitmaps", value=True, reason="bitmaps are not kept on this host")
        self._jobs.submit(MERGE, _chain(params.subchain).as_params(), job_id=checked_id(params.job_id, "job_id"))
        return None

    def finalize(self, params: PoolMergeParams, _context: CallContext) -> JsonValue:
        return self._tasks.submit(FINALIZE, self._managed(params).as_params())

    def _managed(self, params: PoolMergeParams) -> Subchain:
        chain = _chain(params.subchain)
        pool_id = checked_uuid("storagepoolID", params.pool_id)
        self._storage.pools.require_managed_domain(pool_id, chain.top.domain_id)
        return chain


def _chain(params: SubchainParams) -> Subchain:
    top = VolumeRef(
        pool_id=NO_POOL,
        domain_id=checked_uuid("sd_id", params.sd_id),
        image_id=named_uuid("img_id", params.img_id),
        volume_id=named_uuid("top_id", params.top_id),
    )
    base_id = named_uuid("base_id", params.base_id)
    return Subchain(top=top, base_id=base_id, base_generation=params.base_generation)
