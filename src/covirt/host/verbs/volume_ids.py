# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The four ids that name a volume on the wire, checked before any becomes a path."""

from typing import Protocol

from covirt.host.storage.storage_paths import checked_uuid, named_uuid
from covirt.host.virt.volumes import VolumeRef


class VolumeIds(Protocol):
    """Parameters that have them."""

    @property
    def pool_id(self) -> str: ...

    @property
    def domain_id(self) -> str: ...

    @property
    def image_id(self) -> str: ...

    @property
    def volume_id(self) -> str: ...


def volume_ref(params: VolumeIds) -> VolumeRef:
    """Raises BadStorageId, BadStorageValue."""
    return VolumeRef(
        pool_id=checked_uuid("storagepoolID", params.pool_id),
        domain_id=checked_uuid("storagedomainID", params.domain_id),
        image_id=named_uuid("imageID", params.image_id),
        volume_id=named_uuid("volumeID", params.volume_id),
    )
