# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Imports a container image from a registry into a storage domain, where it is a read-only disk.

An image whose digest the domain has already is not kept twice: the operation gives the one that was there.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Final

from covirt.common.errors import InvalidRequest
from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.permissions import give_creator
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks.add_disk import OPERATOR_ID
from covirt.engine.commands.disks.facts import of_disk
from covirt.engine.commands.forget import forget
from covirt.engine.commands.images.facts import manager_of, volume_ids
from covirt.engine.commands.secrets.using import credentials_of, require_credentials
from covirt.engine.commands.storage.facts import jobs_of, of_domain
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.model.container_image import ContainerImage
from covirt.engine.model.disk import Disk, DiskContentType, DiskFormat, DiskStatus
from covirt.engine.model.event import Severity
from covirt.engine.storage.host_jobs import job_of
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

IMAGE_USER_ID: Final = "c0417000-0000-0000-0000-000000000004"  # of the role ContainerImageUser
_REFERENCE: Final = re.compile(
    r"docker://[0-9A-Za-z.\-\[\]:_]+(/[0-9a-z._\-]+)+(:[0-9A-Za-z_.\-]{1,128})?(@sha256:[0-9a-f]{64})?"
)
_LONGEST: Final = 200
_ACTION: Final = "import the container image"
_GONE: Final = "The one that was there already was removed meanwhile; import it again."
_IMPORTED: Final = AuditMessage(
    code=15000, text="Container image {reference} was imported to Storage Domain {domain} as {name} by {user}."
)
_THERE: Final = AuditMessage(
    code=15001, text="Container image {reference} is in Storage Domain {domain} already, as {name}. (User: {user})"
)
_FAILED: Final = AuditMessage(
    code=15002,
    text="Failed to import container image {reference} to Storage Domain {domain}. (User: {user}) {reason}",
    severity=Severity.ERROR,
)


class BadReference(InvalidRequest):
    template = (
        "Cannot import the container image. '{text}' is not docker://HOST[:PORT]/REPOSITORY[:TAG|@sha256:DIGEST]."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportContainerImage(Command):
    """The caller chooses the ids."""

    action: ClassVar = "ImportContainerImage"

    disk_id: str
    volume_id: str
    storage_domain_id: str
    reference: str
    name: str
    created_at: datetime
    tls_verify: bool = True
    credentials: str = ""  # a secret's name

    def begin(self, start: Start) -> None:
        session = start.session
        domain = session.storage_domains.get(self.storage_domain_id)
        start.require(Right.CREATE_DISK, of_domain(domain.id))
        if len(self.reference) > _LONGEST or not _REFERENCE.fullmatch(self.reference):
            raise BadReference(text=self.reference[:80])
        if self.credentials:
            require_credentials(start, self.credentials, action=_ACTION)
        manager_of(session, start.services.hosts, domain, "import")
        session.disks.add(
            Disk(
                id=self.disk_id,
                name=self.name,
                description=self.reference,
                storage_domain_id=domain.id,
                image_id=self.volume_id,
                status=DiskStatus.LOCKED,
                format=DiskFormat.RAW,
                content_type=DiskContentType.ISO,
                provisioned_size_bytes=0,
                created_at=self.created_at,
            )
        )
        give_creator(start, OPERATOR_ID, of_disk(self.disk_id))
        start.lock(self.disk_id, f"container image {self.name} is being imported")
        start.describe(
            f"Importing container image {self.reference} to Storage Domain {domain.name}", {self.disk_id, domain.id}
        )

    def run(self, flow: Flow) -> JsonValue:
        host_id = flow.step("Choosing a host", self._choose)
        flow.step("Importing the container image", self._import, host_id, undo=self._take_back)
        facts = flow.step("Looking at what is in it", self._inspect, host_id)
        there = flow.step("Looking whether it is there already", self._claim, facts)
        if there is not None:
            flow.step("Removing the second copy", self._take_back, host_id)
            return {"id": there, "reused": True}
        return {"id": self.disk_id, "facts": facts}

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        domain = session.storage_domains.get(self.storage_domain_id)
        about = About(storage_domain_id=domain.id, data_center_id=domain.data_center_id)
        result = finish.result if isinstance(finish.result, dict) else {}
        facts = result.get("facts")
        if not isinstance(facts, dict):
            session.disks.remove(self.disk_id)
            forget(session, self.disk_id)
            there = session.disks.find(id=str(result["id"]))
            if there is None:
                told = {"reference": self.reference, "domain": domain.name, "reason": _GONE}
                finish.tell(_FAILED, about, **told)
            else:
                self._share(finish, there)
                finish.tell(_THERE, about, reference=self.reference, domain=domain.name, name=there.name)
            return
        size = int(str(facts.get("size") or 0))
        disk = session.disks.get(self.disk_id)
        session.disks.update(
            replace(
                disk,
                status=DiskStatus.OK,
                provisioned_size_bytes=size,
                actual_size_bytes=size,
                total_size_bytes=size,
            )
        )
        finish.tell(_IMPORTED, about, reference=self.reference, domain=domain.name, name=self.name)

    @staticmethod
    def _share(finish: Finish, there: Disk) -> None:
        """Whoever was given an image by its registry may use it, whoever was given it before."""
        ids, right = finish.asked.principal_ids, str(Right.ATTACH_DISK.number)
        if not finish.session.permissions.has_permit(ids, right, of_disk(there.id)):
            give_creator(finish, IMAGE_USER_ID, of_disk(there.id))

    def failed(self, finish: Finish, reason: str) -> None:
        session = finish.session
        domain = session.storage_domains.get(self.storage_domain_id)
        session.disks.remove(self.disk_id)
        forget(session, self.disk_id)
        about = About(storage_domain_id=domain.id, data_center_id=domain.data_center_id)
        finish.tell(_FAILED, about, reference=self.reference, domain=domain.name, reason=reason)

    def _choose(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            domain = session.storage_domains.get(self.storage_domain_id)
            return manager_of(session, doing.services.hosts, domain, "import")

    def _ids(self, doing: Doing) -> dict[str, Json]:
        with doing.services.store.read() as session:
            return volume_ids(session, session.disks.get(self.disk_id))

    def _import(self, doing: Doing, host_id: str) -> JsonValue:
        params: dict[str, Json] = {
            **self._ids(doing),
            "source": {"url": self.reference, "tlsVerify": self.tls_verify, **self._credentials(doing)},
            "description": self.name,
        }
        try:
            jobs_of(doing, host_id).finish("ContainerImage.import", params, job_id=job_of(doing.job_id, "import"))
        except HostRefused as error:
            if error.code not in (
                Code.VOLUME_EXISTS,
                Code.IMAGE_PATH,
            ):  # it had ended, and the host has forgotten the job
                raise
        return None

    def _credentials(self, doing: Doing) -> dict[str, Json]:
        if not self.credentials:
            return {}
        with doing.services.store.read() as session:
            return credentials_of(session, doing.services.vault, self.credentials, action=_ACTION)

    def _take_back(self, doing: Doing, host_id: str) -> JsonValue:
        jobs = jobs_of(doing, host_id)
        jobs.abort(job_of(doing.job_id, "import"))
        try:
            jobs.finish("ContainerImage.remove", self._ids(doing), job_id=job_of(doing.job_id, "remove"))
        except HostRefused as error:
            if error.code not in (Code.NO_SUCH_IMAGE, Code.NO_SUCH_VOLUME, Code.IMAGE_PATH):
                raise
        return None

    def _inspect(self, doing: Doing, host_id: str) -> JsonValue:
        answer = doing.services.hosts.call(
            host_id, "ContainerImage.inspect", self._ids(doing), flow_id=doing.asked.correlation_id
        )
        facts: JsonValue = json.loads(json.dumps(answer))
        return facts

    def _claim(self, doing: Doing, facts: JsonValue) -> JsonValue:
        """The id of another image of this digest; otherwise this is the one from now on, and of two imports at once
        only one can be it."""
        known = facts if isinstance(facts, dict) else {}
        digest = str(known.get("digest") or "")
        with doing.services.store.change() as session:
            there = session.container_images.with_digest(self.storage_domain_id, digest) if digest else None
            if there is not None:
                return None if there.id == self.disk_id else there.id
            if session.container_images.find(self.disk_id) is None:
                session.container_images.add(_known(self.disk_id, self.reference, known))
        return None


def _known(disk_id: str, reference: str, facts: Mapping[str, JsonValue]) -> ContainerImage:
    volumes = facts.get("volumes")
    return ContainerImage(
        id=disk_id,
        reference=reference,
        digest=str(facts.get("digest") or ""),
        architecture=str(facts.get("architecture") or "")[:40],
        volumes=tuple(map(str, volumes)) if isinstance(volumes, list) else (),
        config=json.dumps(facts.get("config") or {}),
    )
