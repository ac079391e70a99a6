# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Storage domains, answered."""

import logging
from collections.abc import Mapping

from covirt.common.errors import Error
from covirt.host.storage.domain_format import BLANK_ID, DomainClass, DomainMetadata, Role
from covirt.host.storage.domains import NewDomain
from covirt.host.storage.file_domain import FileDomain
from covirt.host.storage.storage import Storage
from covirt.host.storage.storage_paths import checked_uuid
from covirt.host.storage.volume_format import format_name
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.hostapi.json import JsonValue
from covirt.hostapi.storage import (
    CreateDomainParams,
    DeactivateParams,
    DescribeDomainParams,
    DetachParams,
    DomainParams,
    DomainVolumesParams,
    DumpParams,
    FormatParams,
    PoolDomainParams,
)

log = logging.getLogger(__name__)


class StorageDomainVerbs:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._domains = storage.domains
        self._pools = storage.pools

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "StorageDomain.create": self.create,
            "StorageDomain.getInfo": self.get_info,
            "StorageDomain.getStats": self.get_stats,
            "StorageDomain.attach": self.attach,
            "StorageDomain.detach": self.detach,
            "StorageDomain.activate": self.activate,
            "StorageDomain.deactivate": self.deactivate,
            "StorageDomain.format": self.format,
            "StorageDomain.getImages": self.get_images,
            "StorageDomain.getVolumes": self.get_volumes,
            "StorageDomain.setDescription": self.set_description,
            "StorageDomain.validate": self.validate,
            "StorageDomain.dump": self.dump,
        }

    def create(self, params: CreateDomainParams, _context: CallContext) -> JsonValue:
        new = NewDomain(
            id=params.domain_id,
            name=params.name,
            storage_type=params.domain_type,
            domain_class=DomainClass.of(params.domain_class),
            remote_path=params.remote_path,
            version=params.version,
            block_size=params.block_size,
            max_hosts=params.max_hosts,
        )
        self._domains.create(new)
        return None

    def get_info(self, params: DomainParams, _context: CallContext) -> JsonValue:
        domain = self._domains.get(params.domain_id)
        metadata = self._domains.metadata(domain.id)
        info = {**_facts(domain.id, metadata), "remotePath": domain.real_path()}
        if metadata.role is Role.MASTER:
            info |= {
                "master_ver": metadata.master_version,
                "lver": metadata.spm_lver,
                "spm_id": metadata.spm_id,
            }
        return info

    def get_stats(self, params: DomainParams, _context: CallContext) -> JsonValue:
        space = self._storage.space(params.domain_id)
        return {
            "disktotal": str(space.total_bytes),
            "diskfree": str(space.free_bytes),
            # Of block storage's metadata, which files do not have.
            "mdavalid": True,
            "mdathreshold": True,
            "mdasize": 0,
            "mdafree": 0,
        }

    def attach(self, params: PoolDomainParams, _context: CallContext) -> JsonValue:
        self._pools.attach(params.pool_id, params.domain_id)
        return None

    def detach(self, params: DetachParams, _context: CallContext) -> JsonValue:
        self._pools.detach(params.pool_id, params.domain_id, force=params.force)
        return None

    def activate(self, params: PoolDomainParams, _context: CallContext) -> JsonValue:
        self._pools.activate(params.pool_id, params.domain_id)
        return None

    def deactivate(self, params: DeactivateParams, _context: CallContext) -> JsonValue:
        new_master = None if params.master_id == BLANK_ID else params.master_id
        self._pools.deactivate(
            params.pool_id, params.domain_id, new_master_id=new_master, new_version=params.master_version
        )
        return None

    def format(self, params: FormatParams, _context: CallContext) -> JsonValue:
        self._storage.format_domain(params.domain_id, detach=params.auto_detach)
        return None

    def get_images(self, params: DomainParams, _context: CallContext) -> JsonValue:
        domain = self._domains.get(params.domain_id)
        return self._storage.calls.call(domain.id, domain.image_ids)

    def get_volumes(self, params: DomainVolumesParams, _context: CallContext) -> JsonValue:
        domain, image_id = self._domains.get(params.domain_id), checked_uuid("imageID", params.image_id)

        def read() -> list[str]:
            images = domain.image_ids() if image_id == BLANK_ID else [image_id]
            return sorted({volume_id for one in images for volume_id in domain.volume_ids(one)})

        return self._storage.calls.call(domain.id, read)

    def set_description(self, params: DescribeDomainParams, _context: CallContext) -> JsonValue:
        self._pools.rename_domain(params.domain_id, params.description)
        return None

    def validate(self, params: DomainParams, _context: CallContext) -> JsonValue:
        self._domains.metadata(params.domain_id)
        return None

    def dump(self, params: DumpParams, _context: CallContext) -> JsonValue:
        domain = self._domains.get(params.domain_id)
        metadata = self._domains.metadata(domain.id)
        volumes = self._storage.calls.call(domain.id, lambda: _dump_volumes(domain))
        return {"metadata": _facts(domain.id, metadata), "volumes": volumes}


def _facts(domain_id: str, metadata: DomainMetadata) -> dict[str, JsonValue]:
    """What getInfo and dump tell alike."""
    return {
        "uuid": domain_id,
        "type": metadata.storage_type.name,
        "class": metadata.domain_class,
        "name": metadata.name,
        "role": metadata.role,
        "pool": list(metadata.pools),
        "version": str(metadata.version),
        "block_size": metadata.block_size,
        "alignment": metadata.alignment,
    }


def _dump_volumes(domain: FileDomain) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for image_id in domain.image_ids():
        for volume_id in domain.volume_ids(image_id):
            try:
                metadata, size = domain.volume_metadata(image_id, volume_id), domain.size(image_id, volume_id)
            except Error as error:  # of this volume; the others are told, as Vdsm does it
                log.warning("A volume is broken domain=%s volume=%s reason=%s", domain.id, volume_id, error)
                found[volume_id] = {"image": image_id, "status": "INVALID"}
                continue
            found[volume_id] = {
                "apparentsize": size.apparent_bytes,
                "truesize": size.true_bytes,
                "capacity": metadata.capacity_bytes,
                "ctime": metadata.created_at,
                "description": metadata.description,
                "disktype": metadata.disk_type,
                "format": format_name(metadata.format),
                "generation": metadata.generation,
                "sequence": metadata.sequence,
                "image": metadata.image_id,
                "legality": metadata.legality,
                "parent": metadata.parent_id,
                "status": "OK",
                "type": metadata.allocation,
                "voltype": metadata.place,
            }
    return found
