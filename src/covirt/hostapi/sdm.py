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


class SubchainParams(Params):
    """Two volumes of an image: ``top_id`` builds on ``base_id``. ``base_generation``: as in copies."""

    sd_id: str
    img_id: str
    top_id: str
    base_id: str
    base_generation: int | None = Field(default=None, ge=0, le=999)


class PoolMergeParams(Params):
    pool_id: str = Field(alias="storagepoolID")
    subchain: SubchainParams = Field(alias="subchainInfo")


class MergeParams(Params):
    job_id: str
    subchain: SubchainParams = Field(alias="subchain_info")
    merge_bitmaps: bool = False


VERBS: Final = (
    Verb(
        name="StoragePool.prepareMerge",
        summary="Begins a task that makes a volume as large as the one above it, which is to be merged into it.",
        params=PoolMergeParams,
        result=str,
        changes=True,
    ),
    Verb(
        name="SDM.merge",
        summary="Begins a job that writes a volume into the one that it builds on; nobody may use the image.",
        params=MergeParams,
        changes=True,
    ),
    Verb(
        name="StoragePool.finalizeMerge",
        summary="Begins a task that takes a merged volume out of its chain and makes it illegal; delete it then.",
        params=PoolMergeParams,
        result=str,
        changes=True,
    ),
    Verb(
        name="SDM.copy_data",
        summary="Begins a job that copies one volume's content into another that exists.",
        params=CopyDataParams,
        changes=True,
    ),
)
