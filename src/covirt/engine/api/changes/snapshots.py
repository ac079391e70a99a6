# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of machines' snapshots."""

from datetime import UTC, datetime

from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import refuse_set, told
from covirt.engine.api.node import Body
from covirt.engine.api.registry import Done
from covirt.engine.commands.snapshots.create import CreateSnapshot
from covirt.engine.commands.snapshots.remove import RemoveSnapshot
from covirt.engine.commands.snapshots.restore import RestoreSnapshot
from covirt.engine.model.vm import Snapshot


def add_snapshot(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST vms/ID/snapshots. Who does not speak of memory has none kept, and a machine that is down has none."""
    refuse_set(body, disk_attachments="snapshots of some of a machine's disks")
    identifier = call.new_id("snapshot")
    snapshot = Snapshot(
        id=identifier,
        name="",
        description=told(body, "description", ""),
        vm_id=ids[0],
        date=datetime.now(UTC),
    )
    with_memory = told(body, "persist_memorystate", False)
    outcome = call.run(CreateSnapshot(snapshot=snapshot, with_memory=with_memory))
    return Done(id=identifier, pending=outcome.pending, job_id=outcome.job_id)


def remove_snapshot(call: Call, ids: tuple[str, ...]) -> None:
    """DELETE vms/ID/snapshots/ID."""
    call.run(RemoveSnapshot(snapshot_id=ids[-1]))


def restore_snapshot(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST vms/ID/snapshots/ID/restore."""
    del body
    outcome = call.run(RestoreSnapshot(snapshot_id=ids[-1]))
    return Done(pending=outcome.pending, job_id=outcome.job_id)
