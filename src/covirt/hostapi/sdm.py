# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class SDM: jobs on storage domains that any host may do."""

from typing import Final, Literal

from pydantic import Field

from covirt.hostapi.verb import Params, Verb


class CopyEndpointParams(Params):
    """A volume of a storage domain. ``generation``: refuse when the volume is of another one."""

    endpoint_type: Literal["div"] = "div"
    sd_id: str
    img_id: str
    vol_id: str
    generation: int | None = Field(default=None, ge=0, le=999)
    prepared: bool | None = False


class CopyDataParams(Params):
    job_id: str
    source: CopyEndpointParams
    destination: CopyEndpointParams
    copy_bitmaps: bool = False


VERBS: Final = (
    Verb(
        name="SDM.copy_data",
        summary="Begins a job that copies one volume's content into another that exists.",
        params=CopyDataParams,
        changes=True,
    ),
)
