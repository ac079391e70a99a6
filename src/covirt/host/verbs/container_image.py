# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Container images of storage domains, for engines."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from covirt.host.storage.container_images import (
    IMPORT,
    REMOVE,
    Archive,
    ContainerImage,
    ContainerImages,
    import_params,
)
from covirt.host.storage.container_import import ArchiveKind, ImportSource, registry_source
from covirt.host.storage.image_volumes import ImageVolumes
from covirt.host.storage.jobs import Jobs
from covirt.host.storage.operation import Params, checked_id
from covirt.host.storage.storage_paths import checked_uuid
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.verbs.volume_ids import volume_ref
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.container_image import (
    ArchiveSource,
    DomainParams,
    ImageParams,
    ImportParams,
    RegistrySource,
    RemoveParams,
)
from covirt.hostapi.json import JsonObject, JsonValue


class ContainerImageVerbs:
    def __init__(self, *, images: ContainerImages, volumes: ImageVolumes, jobs: Jobs) -> None:
        self._volumes = volumes
        self._images = images
        self._jobs = jobs

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "ContainerImage.import": self.import_,
            "ContainerImage.list": self.list,
            "ContainerImage.inspect": self.inspect,
            "ContainerImage.remove": self.remove,
        }

    def import_(self, params: ImportParams, _context: CallContext) -> JsonValue:
        target = volume_ref(params)
        self._volumes.bounded(target.domain_id, lambda: self._images.check_free(target))
        what = import_params(
            job_id=checked_id(params.job_id, "jobID"),
            target=target,
            source=_source(params.source),
            description=params.description,
        )
        self._jobs.submit(IMPORT, what, job_id=params.job_id, secrets=_login(params.source))
        return None

    def list(self, params: DomainParams, _context: CallContext) -> JsonValue:
        domain_id = checked_uuid("storagedomainID", params.domain_id)
        return [_shown(image) for image in self._volumes.bounded(domain_id, lambda: self._images.list(domain_id))]

    def inspect(self, params: ImageParams, _context: CallContext) -> JsonValue:
        image = self._get(volume_ref(params))
        facts = image.facts
        return {
            **_shown(image),
            "filesystem": facts.get("filesystem"),
            "volumes": facts.get("volumes"),
            "config": cast(JsonValue, facts.get("config")),
        }

    def remove(self, params: RemoveParams, _context: CallContext) -> JsonValue:
        target = volume_ref(params)
        self._get(target)
        self._images.check_unused(target)
        self._jobs.submit(REMOVE, {"target": asdict(target)}, job_id=checked_id(params.job_id, "jobID"))
        return None

    def _get(self, ref: VolumeRef) -> ContainerImage:
        return self._volumes.bounded(ref.domain_id, lambda: self._images.get(ref))


def _source(source: RegistrySource | ArchiveSource) -> ImportSource | Archive:
    if isinstance(source, RegistrySource):
        return registry_source(source.url, tls_verify=source.tls_verify)
    return Archive(ref=volume_ref(source), kind=ArchiveKind(source.kind), reference=source.reference)


def _login(source: RegistrySource | ArchiveSource) -> Params | None:
    if not isinstance(source, RegistrySource) or source.username is None or source.password is None:
        return None
    return {"user": source.username, "password": source.password.get_secret_value()}


def _shown(image: ContainerImage) -> JsonObject:
    ref, facts = image.volume.ref, image.facts
    return {
        "storagedomainID": ref.domain_id,
        "imageID": ref.image_id,
        "volumeID": ref.volume_id,
        "description": image.volume.description,
        "digest": facts.get("digest"),
        "architecture": facts.get("architecture"),
        "size": image.volume.capacity_bytes,
        "usedBy": sorted(image.users),
    }
