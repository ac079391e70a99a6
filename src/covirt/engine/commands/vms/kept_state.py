# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The kept state of a suspended machine: two disks, as oVirt has them, of which covirt's hosts write to the first.

It is begun from once (docs/adr/0045-kept-states.md): as soon as a guest may have gone on from it, nothing names it.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, Error
from covirt.engine.commands.command import Doing
from covirt.engine.commands.disks.facts import volumes_of
from covirt.engine.commands.forget import forget
from covirt.engine.commands.vms.common import held, write_down
from covirt.engine.model.disk import Disk, DiskContentType
from covirt.engine.model.storage_domain import StorageDomain, StorageDomainStatus
from covirt.engine.model.vm import Vm, VmFacts, VmStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

log = logging.getLogger(__name__)

# QEMU's own devices have memory, too, as that of the display.
_BESIDE_MEMORY_BYTES: Final = 256 << 20
_DESCRIPTION_BYTES: Final = 1 << 20
_KINDS: Final = (
    ("memory", DiskContentType.MEMORY_DUMP_VOLUME),
    ("description", DiskContentType.MEMORY_METADATA_VOLUME),
)


class NoPlaceForState(Conflict):
    """Fields: name."""

    template = (
        "Cannot suspend VM. No Storage Domain of the Data Center of {name} is active, so its state has no place."
    )


def state_disks(session: Session, vm: Vm, ids: Sequence[tuple[str, str]]) -> tuple[Disk, ...]:
    """``ids``: of each disk and its volume. They lie where the machine's first disk does. Raises NoPlaceForState."""
    domain = _place(session, vm)
    sizes = (vm.hardware.memory_bytes + _BESIDE_MEMORY_BYTES, _DESCRIPTION_BYTES)
    return tuple(
        Disk(
            id=disk_id,
            name=f"{vm.name}_hibernation_{word}",
            description="the state of a suspended virtual machine",
            storage_domain_id=domain.id,
            image_id=volume_id,
            content_type=content_type,
            provisioned_size_bytes=size,
            kind=vm.kind,
        )
        for (disk_id, volume_id), (word, content_type), size in zip(ids, _KINDS, sizes, strict=True)
    )


def handle(session: Session, disk_ids: Sequence[str]) -> str:
    """Vdsm's hiberVolHandle."""
    memory, description = (session.disks.get(disk_id) for disk_id in disk_ids)
    domain = session.storage_domains.get(memory.storage_domain_id)
    parts = (memory.id, memory.image_id, description.id, description.image_id)
    return ",".join((domain.id, domain.data_center_id or "", *parts))


def put_to_rest(session: Session, vm: Vm, *, log_host_id: str | None = None) -> None:
    """It runs nowhere, and nothing of it has run since: a state that was kept is as good as it was."""
    if not vm.facts.state_disk_ids:
        write_down(session, vm, log_host_id=log_host_id)
        return
    facts = VmFacts(status=VmStatus.SUSPENDED, stop_time=vm.facts.stop_time, state_disk_ids=vm.facts.state_disk_ids)
    session.vms.update_facts(vm.id, facts)


def remove_state(doing: Doing, vm_id: str) -> None:
    """The volumes, and what is known of them. Raises what says why one cannot be removed; may be called again."""
    with doing.services.store.read() as session:
        disks = [session.disks.find(id=disk_id) for disk_id in session.vms.get(vm_id).facts.state_disk_ids]
    for disk in disks:
        if disk is None:
            continue
        volumes_of(doing, disk, "remove").remove(disk)
        with doing.services.store.write() as session:
            if session.disks.find(id=disk.id) is not None:
                session.disks.remove(disk.id)
                forget(session, disk.id)


def drop_state(doing: Doing, vm_id: str) -> None:
    """Of a machine that went on from it. What cannot be removed now stays as disks that anybody may remove."""
    try:
        remove_state(doing, vm_id)
    except Error as error:
        log.warning("A state that was begun from is not removed vm=%s reason=%s", vm_id, error)
    with doing.services.store.write() as session:
        facts = held(session, vm_id).facts
        session.vms.update_facts(vm_id, replace(facts, state_disk_ids=()))


def _place(session: Session, vm: Vm) -> StorageDomain:
    attached = session.disk_attachments.list(ListQuery(where={"vm_id": vm.id}))
    disks = session.disks.by_ids(each.disk_id for each in attached)
    center_id = session.clusters.get(vm.cluster_id).data_center_id
    active = {
        domain.id: domain
        for domain in session.storage_domains.list(ListQuery(where={"data_center_id": center_id}))
        if domain.status is StorageDomainStatus.ACTIVE
    }
    wanted = [disks[each.disk_id].storage_domain_id for each in attached if each.disk_id in disks]
    for domain_id in (*wanted, *active):
        if domain_id in active:
            return active[domain_id]
    raise NoPlaceForState(name=vm.name)
