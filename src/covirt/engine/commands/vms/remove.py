# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Removing a machine."""

from covirt.engine.auth.permits import Right
from covirt.engine.commands.change import Change
from covirt.engine.commands.forget import forget
from covirt.engine.commands.vms.common import require_down, subject_of
from covirt.engine.commands.vms.errors import DeleteProtected, DisksOfRemoved
from covirt.engine.commands.vms.messages import REMOVED
from covirt.engine.store.query import ListQuery


def remove_vm(change: Change, vm_id: str, *, detach_only: bool) -> None:
    """Raises VmIsRunning, DeleteProtected, DisksOfRemoved."""
    change.require(Right.DELETE_VM, subject_of(vm_id))
    change.require_unlocked(vm_id)
    session = change.session
    vm = session.vms.get(vm_id)
    require_down(vm, "remove")
    if vm.hardware.delete_protected:
        raise DeleteProtected
    if not detach_only:
        attached = session.disk_attachments.list(ListQuery(where={"vm_id": vm_id}))
        disks = session.disks.by_ids({each.disk_id for each in attached})
        own = sorted(disk.name for disk in disks.values() if not disk.shareable)
        if own:
            raise DisksOfRemoved(disks=", ".join(own))
    session.vms.remove(vm_id)
    forget(session, vm_id)
    change.tell(REMOVED, vm=vm.name)
