# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a body says of disks that are copied: where each copy shall lie, and what shall be different about it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from covirt.common.errors import InvalidRequest
from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import refuse_set, seen, told, told_word
from covirt.engine.api.errors import Incomplete
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, items
from covirt.engine.commands.disks.errors import BadDisk, DiskRefused
from covirt.engine.commands.disks.many import DiskCopy, planned_copies
from covirt.engine.model.disk import Disk, DiskAttachment, DiskBackup, DiskFormat
from covirt.engine.model.storage_domain import StorageDomain
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

ABSENT_OF_DISKS: Final = {
    "lun_storage": "LUNs",
    "openstack_volume_type": "volumes of OpenStack",
    "external_disk": "external disks",
    "quota": "quotas",
    "sgio": "SCSI pass-through",
}


class NotOneOfThem(InvalidRequest):
    """Fields: disk, owner."""

    template = (
        "disk_attachments names disk {disk}, which {owner} has not. Name disks that are copied, by id; others are "
        "attached afterwards."
    )


class SeveralPlaces(InvalidRequest):
    template = "A disk is copied to one Storage Domain; name one in its storage_domains."


def copies_of(
    call: Call, attached: Sequence[DiskAttachment], told_of: Body, domain_of: Body, *, source: str, **owner: str
) -> tuple[DiskCopy, ...]:
    """Of these disks. ``told_of`` has disk_attachments, which name disks that are copied and say what shall be
    different, ``domain_of`` a storage_domain for those of which nothing is said. ``source``: who has the disks, for
    people; ``owner``: vm_id or template_id. Raises NotOneOfThem, NoSuchObject."""
    wanted = _wanted(items(told_of, "disk_attachments") or (), {each.disk_id for each in attached}, source)
    named = domain_of.get("storage_domain")
    place = seen(call, call.session.storage_domains, named, "storage_domain") if named else None
    return tuple(
        replace(copy, disk=_placed(call, copy.disk, wanted.get(copy.source_id, {}), place))
        for copy in planned_copies(call.session, attached, **owner)
    )


def changed_copy(source: Disk, wanted: Body, domain: StorageDomain, profile_id: str | None) -> Disk:
    """The disk as its copy on the domain shall be; the ids are still the source's."""
    refuse_set(wanted, **ABSENT_OF_DISKS)
    if told(wanted, "provisioned_size", source.provisioned_size_bytes) != source.provisioned_size_bytes:
        raise BadDisk(action="copy", reason=f"A copy has the size of {source.name}; extend it afterwards.")
    image_format = told_word(wanted, "format", source.format)
    return replace(
        source,
        name=told(wanted, "alias", told(wanted, "name", source.name)),
        description=told(wanted, "description", source.description),
        storage_domain_id=domain.id,
        format=image_format,
        sparse=told(wanted, "sparse", source.sparse or image_format is DiskFormat.COW),
        backup=told_word(wanted, "backup", source.backup if image_format is source.format else DiskBackup.NONE),
        qcow_version="qcow2_v3" if image_format is DiskFormat.COW else "",
        disk_profile_id=profile_id,
    )


def _wanted(attachments: Iterable[Body], there: set[str], source: str) -> dict[str, Body]:
    """What is said of each disk, by its id."""
    found: dict[str, Body] = {}
    for each in attachments:
        disk = each.get("disk")
        identifier = str((disk.get("id") if isinstance(disk, dict) else None) or each.get("id") or "").lower()
        if not identifier:
            raise Incomplete(type="DiskAttachment", names="disk.id", action="add")
        if identifier not in there:
            raise NotOneOfThem(disk=identifier, owner=source)
        found[identifier] = disk if isinstance(disk, dict) else {}
    return found


def _placed(call: Call, disk: Disk, wanted: Body, place: StorageDomain | None) -> Disk:
    named = items(wanted, "storage_domains") or ()
    if len(named) > 1:
        raise SeveralPlaces
    domains = call.session.storage_domains
    if named:
        place = seen(call, domains, named[0], "storage_domain")
    if not wanted and (place is None or place.id == disk.storage_domain_id):
        return disk
    domain = place or domains.get(disk.storage_domain_id)
    same = domain.id == disk.storage_domain_id and not wanted.get("disk_profile")
    profile_id = disk.disk_profile_id if same else profile_on(call.session, wanted, domain)
    return changed_copy(disk, wanted, domain, profile_id)


def profile_on(session: Session, body: Body, domain: StorageDomain) -> str | None:
    profiles = session.disk_profiles.list(ListQuery(where={"storage_domain_id": domain.id}))
    wanted = at(body, "disk_profile.id") or at(body, "disk_profile.name")
    if wanted is None:
        return next((each.id for each in profiles if each.name == domain.name), profiles[0].id if profiles else None)
    for each in profiles:
        if str(wanted) in (each.id, each.name):
            return str(each.id)
    raise DiskRefused(action="edit", reason=f"Storage Domain {domain.name} has no disk profile {wanted}.")
