# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class Image, and those of class Volume that look into a volume's content."""

from typing import Any, Final

from pydantic import Field

from covirt.hostapi.verb import Params, Verb


class DiskImageParams(Params):
    """An image of a storage domain."""

    image_id: str = Field(alias="imageID")
    pool_id: str = Field(alias="storagepoolID")
    domain_id: str = Field(alias="storagedomainID")


class DeleteImageParams(DiskImageParams):
    """``postZero`` overwrites the content first; ``force`` and ``discard`` change nothing for files."""

    post_zero: bool | str = Field(alias="postZero", default=False)


class VolumeContentParams(DiskImageParams):
    volume_id: str = Field(alias="volumeID")


class PrepareImageParams(VolumeContentParams):
    allow_illegal: bool = Field(alias="allowIllegal", default=False)


class TeardownImageParams(DiskImageParams):
    volume_id: str | None = Field(alias="volumeID", default=None)


class MeasureParams(VolumeContentParams):
    """What a copy in another format needs."""

    target_format: str | int = Field(alias="dstVolFormat")


VERBS: Final = (
    Verb(
        name="Image.prepare",
        summary="Makes a volume and what it builds on ready for use; gives its path.",
        params=PrepareImageParams,
        result=dict[str, str],
        changes=True,
    ),
    Verb(name="Image.teardown", summary="Gives back what was prepared.", params=TeardownImageParams, changes=True),
    Verb(
        name="Image.delete",
        summary="Begins a task that removes an image with all its volumes.",
        params=DeleteImageParams,
        result=str,
        changes=True,
    ),
    Verb(name="Image.getVolumes", summary="Lists the volumes of an image.", params=DiskImageParams, result=list[str]),
    Verb(
        name="Volume.getQemuImageInfo",
        summary="Tells what QEMU reads in a volume: format, virtualsize, clustersize, compat, backingfile, bitmaps.",
        params=VolumeContentParams,
        result=dict[str, Any],
    ),
    Verb(
        name="Volume.measure",
        summary="Tells how many bytes a copy of a volume with its chain needs in a format.",
        params=MeasureParams,
        result=dict[str, int],
    ),
    Verb(
        name="Volume.verify_untrusted",
        summary="Refuses a volume whose content is not what its metadata says, or that refers to other files.",
        params=VolumeContentParams,
    ),
)
