# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What clients change of storage domains."""

import uuid
from dataclasses import replace
from typing import Final

from covirt.common.errors import InvalidRequest
from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import called, told
from covirt.engine.api.changes.running import ran
from covirt.engine.api.errors import Incomplete
from covirt.engine.api.node import Body
from covirt.engine.api.params import flag, is_uuid
from covirt.engine.api.reading import referred, referred_object, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.auth.permits import Right
from covirt.engine.commands.storage.activate_domain import ActivateStorageDomain, DeactivateStorageDomain
from covirt.engine.commands.storage.add_domain import AddStorageDomain
from covirt.engine.commands.storage.attach_domain import AttachStorageDomain
from covirt.engine.commands.storage.detach_domain import DetachStorageDomain
from covirt.engine.commands.storage.facts import of_domain
from covirt.engine.commands.storage.messages import EDITED
from covirt.engine.commands.storage.remove_domain import RemoveStorageDomain
from covirt.engine.model.storage_domain import StorageConnection, StorageDomain, StorageDomainType, StorageType

_WAIT_SECONDS: Final = 60.0  # storage is slow, and clients expect the domain when they are answered


class OtherDomainType(InvalidRequest):
    template = "Cannot add Storage. Domains of type '{type}' are not served; covirt has data domains."


class NotImported(InvalidRequest):
    template = "Cannot import Storage. A Storage Domain that another engine has made cannot be taken over."


def add_domain(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST storagedomains."""
    del ids
    require_fields("StorageDomain", body, "add", "host.id|name", "name", "storage.type", "storage.path", "type")
    kind = str(body["type"])
    if kind != StorageDomainType.DATA:
        raise OtherDomainType(type=kind)
    if body.get("import"):
        raise NotImported
    host = referred(call.session.hosts, body, "host")
    storage = body["storage"]
    assert isinstance(storage, dict)  # noqa: S101 - require_fields has looked into it
    connection = _connection(storage, host.id if host else "")
    domain = StorageDomain(
        id=call.new_id("storage domain"),
        connection_id=connection.id,
    )
    command = AddStorageDomain(
        domain=_described(domain, body),
        connection=connection,
        host_id=host.id if host else "",
        profile_id=call.new_id("disk profile"),
    )
    outcome = call.run(command, wait_seconds=_WAIT_SECONDS)
    return Done(id=domain.id, pending=outcome.pending)


def update_domain(call: Call, ids: tuple[str, ...], body: Body) -> None:
    """PUT storagedomains/ID: what people call it, and when it is told that it is full."""
    with call.changing() as change:
        change.require(Right.EDIT_STORAGE_DOMAIN_CONFIGURATION, of_domain(ids[-1]))
        change.require_unlocked(ids[-1])
        domain = change.session.storage_domains.get(ids[-1])
        changed = _described(domain, body)
        change.session.storage_domains.update(changed)
        change.tell(EDITED, domain=changed.name)


def remove_domain(call: Call, ids: tuple[str, ...]) -> None:
    """DELETE storagedomains/ID?host=…&format=…&destroy=…; the host by its id or name."""
    others = call.params.others
    destroy, named = flag(others.get("destroy")), others.get("host", "")
    host_id = None
    if not destroy:
        if not named:
            raise Incomplete(type="StorageDomain", names="host", action="remove")
        by = "id" if is_uuid(named) else "name"
        host_id = referred_object(call.session.hosts, {by: named}, "host").id
    command = RemoveStorageDomain(
        domain_id=ids[-1], host_id=host_id, format=flag(others.get("format")), destroy=destroy
    )
    call.run(command, wait_seconds=_WAIT_SECONDS)


def attach_domain(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST datacenters/ID/storagedomains, with the id or the name of one."""
    domain = referred_object(call.session.storage_domains, dict(body), "storage_domain")
    command = AttachStorageDomain(domain_id=domain.id, data_center_id=ids[0])
    outcome = call.run(command, wait_seconds=_WAIT_SECONDS)
    return Done(id=domain.id, pending=outcome.pending)


def activate_domain(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    return ran(call, ActivateStorageDomain(domain_id=ids[-1]), wait_seconds=_WAIT_SECONDS)


def deactivate_domain(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    return ran(call, DeactivateStorageDomain(domain_id=ids[-1]), wait_seconds=_WAIT_SECONDS)


def detach_domain(call: Call, ids: tuple[str, ...]) -> None:
    """DELETE datacenters/ID/storagedomains/ID."""
    call.run(DetachStorageDomain(domain_id=ids[-1]), wait_seconds=_WAIT_SECONDS)


def _connection(storage: Body, host_id: str) -> StorageConnection:
    kind = StorageType(str(storage["type"]))
    local = kind is StorageType.LOCALFS
    path = str(storage["path"])
    if not local:
        require_fields("StorageDomain", {"storage": storage}, "add", "storage.address")
    return StorageConnection(
        id=str(uuid.uuid4()),
        type=kind,
        path=path.rstrip("/") or "/",
        address="" if local else str(storage["address"]),
        host_id=host_id if local else None,
        nfs_version=str(storage.get("nfs_version", "")),
        nfs_timeo=told(storage, "nfs_timeo", None),
        nfs_retrans=told(storage, "nfs_retrans", None),
        mount_options=str(storage.get("mount_options", "")),
    )


def _described(domain: StorageDomain, body: Body) -> StorageDomain:
    """With what the body says of it that needs nothing done."""
    return replace(
        called(domain, body),
        wipe_after_delete=told(body, "wipe_after_delete", domain.wipe_after_delete),
        backup=told(body, "backup", domain.backup),
        warning_low_space_percent=told(body, "warning_low_space_indicator", domain.warning_low_space_percent),
        critical_space_gib=told(body, "critical_space_action_blocker", domain.critical_space_gib),
    )
