# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs on storage domains, begun."""

from collections.abc import Mapping
from typing import Final

from covirt.host.storage.copy_data import COPY_DATA, CopyEndpoint, copy_params
from covirt.host.storage.jobs import Jobs
from covirt.host.storage.operation import checked_id
from covirt.host.storage.storage_paths import checked_uuid, named_uuid
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.json import JsonValue
from covirt.hostapi.sdm import CopyDataParams, CopyEndpointParams

NO_POOL: Final = "00000000-0000-0000-0000-000000000000"  # these verbs name no pool


class SdmVerbs:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def handlers(self) -> Mapping[str, Handler]:
        return {"SDM.copy_data": self.copy_data}

    def copy_data(self, params: CopyDataParams, _context: CallContext) -> JsonValue:
        job_id = checked_id(params.job_id, "job_id")
        what = copy_params(
            job_id=job_id,
            source=_endpoint(params.source),
            target=_endpoint(params.destination),
            bitmaps=params.copy_bitmaps,
        )
        self._jobs.submit(COPY_DATA, what, job_id=job_id)
        return None


def _endpoint(params: CopyEndpointParams) -> CopyEndpoint:
    ref = VolumeRef(
        pool_id=NO_POOL,
        domain_id=checked_uuid("sd_id", params.sd_id),
        image_id=named_uuid("img_id", params.img_id),
        volume_id=named_uuid("vol_id", params.vol_id),
    )
    return CopyEndpoint(ref=ref, generation=params.generation, prepared=bool(params.prepared))
