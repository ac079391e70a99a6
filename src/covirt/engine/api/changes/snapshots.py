# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of machines' snapshots."""

from datetime import UTC, datetime

from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import refuse_set, told
from covirt.engine.api.changes.running import ran
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, items, referred_object, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.commands.snapshots.create import CreateSnapshot
from covirt.engine.commands.snapshots.end_preview import CommitSnapshot, UndoSnapshot
from covirt.engine.commands.snapshots.facts import previewed
from covirt.engine.commands.snapshots.preview import PreviewSnapshot
from covirt.engine.commands.snapshots.remove import RemoveSnapshot
from covirt.engine.commands.snapshots.restore import RestoreSnapshot
from covirt.engine.model.vm import Snapshot
from covirt.engine.store.errors import NoSuchObject


def add_snapshot(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST vms/ID/snapshots. Who does not speak of memory has none kept, and a machine that is down has none."""
    identifier = call.new_id("snapshot")
    snapshot = Snapshot(
        id=identifier,
        name="",
        description=told(body, "description", ""),
        vm_id=ids[0],
        date=datetime.now(UTC),
    )
    with_memory = told(body, "persist_memorystate", False)
    command = CreateSnapshot(snapshot=snapshot, with_memory=with_memory, disk_ids=_chosen(body))
    return ran(call, command, id=identifier)


def remove_snapshot(call: Call, ids: tuple[str, ...]) -> None:
    """DELETE vms/ID/snapshots/ID."""
    call.run(RemoveSnapshot(snapshot_id=ids[-1]))


def _chosen(body: Body) -> tuple[str, ...] | None:
    """disk_attachments names disks by their ids, or by the attachments', which are the same; none means all."""
    given = items(body, "disk_attachments")
    return tuple(str(at(each, "disk.id") or at(each, "id") or "").lower() for each in given) if given else None


_NO_CUSTOM = {
    "disks": "previews of some of a machine's disks",
    "vm": "previews with settings of another snapshot",
    "lease": "leases of machines",
}


def preview_snapshot(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST vms/ID/previewsnapshot."""
    require_fields("Action", body, "previewsnapshot", "snapshot.id")
    refuse_set(body, **_NO_CUSTOM)
    found = referred_object(call.session.snapshots, body["snapshot"], "snapshot", vm_id=ids[-1])
    if found.vm_id != ids[-1]:
        raise NoSuchObject(noun="Snapshot", id=found.id)
    return ran(call, PreviewSnapshot(snapshot_id=found.id))


def commit_snapshot(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST vms/ID/commitsnapshot."""
    del body
    return ran(call, CommitSnapshot(vm_id=ids[-1], snapshot_id=_previewed(call, ids[-1])))


def undo_snapshot(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST vms/ID/undosnapshot."""
    del body
    return ran(call, UndoSnapshot(vm_id=ids[-1], snapshot_id=_previewed(call, ids[-1])))


def _previewed(call: Call, vm_id: str) -> str:
    """Empty where none is, which the command refuses."""
    found = previewed(call.session, vm_id)
    return "" if found is None else str(found.id)


def restore_snapshot(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST vms/ID/snapshots/ID/restore."""
    del body
    return ran(call, RestoreSnapshot(snapshot_id=ids[-1]))
