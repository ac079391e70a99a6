# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of image transfers."""

from typing import Final

from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import refuse_set, told, told_word
from covirt.engine.api.changes.running import ran
from covirt.engine.api.errors import Incomplete
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, referred
from covirt.engine.api.registry import Done
from covirt.engine.commands.transfers.begin import TransferDiskImage
from covirt.engine.commands.transfers.errors import BadTransfer
from covirt.engine.commands.transfers.finish import CancelImageTransfer, FinalizeImageTransfer
from covirt.engine.commands.transfers.pause import ExtendImageTransfer, PauseImageTransfer, ResumeImageTransfer
from covirt.engine.model.disk import Disk, ImageTransfer, TransferDirection, TransferTimeoutPolicy

_ABSENT: Final = {"snapshot": "snapshots of disks", "backup": "backups"}
_SHORTEST_SECONDS: Final = 10
_LONGEST_SECONDS: Final = 7 * 86400


def begin_transfer(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST imagetransfers. The disk is named by its id; some clients call it an image."""
    del ids
    refuse_set(body, **_ABSENT)
    disk = _disk(call, body)
    direction = told_word(body, "direction", TransferDirection.UPLOAD)
    host = referred(call.session.hosts, body, "host")
    seconds = told(body, "inactivity_timeout", 60)
    if not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
        raise BadTransfer(reason=f"inactivity_timeout is {_SHORTEST_SECONDS} to {_LONGEST_SECONDS} seconds.")
    transfer = ImageTransfer(
        id=call.new_id("image transfer"),
        name="",
        disk_id=disk.id,
        direction=direction,
        format=told_word(body, "format", disk.format),
        host_id=host.id if host else None,
        timeout_policy=told_word(body, "timeout_policy", TransferTimeoutPolicy.LEGACY),
        inactivity_timeout_seconds=seconds,
        shallow=told(body, "shallow", False),
    )
    return ran(call, TransferDiskImage(transfer=transfer), id=transfer.id)


def finalize_transfer(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    return ran(call, FinalizeImageTransfer(transfer_id=ids[-1]))


def cancel_transfer(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    return ran(call, CancelImageTransfer(transfer_id=ids[-1]))


def pause_transfer(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    return ran(call, PauseImageTransfer(transfer_id=ids[-1]))


def resume_transfer(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    return ran(call, ResumeImageTransfer(transfer_id=ids[-1]))


def extend_transfer(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """A client that does nothing for a while is none that is gone."""
    del body
    return ran(call, ExtendImageTransfer(transfer_id=ids[-1]))


def _disk(call: Call, body: Body) -> Disk:
    """Raises Incomplete, NoSuchObject."""
    disk_id = at(body, "disk.id") or at(body, "image.id")
    if not disk_id:
        raise Incomplete(type="ImageTransfer", names="disk.id", action="add")
    disks = call.session.disks
    found = disks.find(image_id=str(disk_id)) if disks.find(id=str(disk_id)) is None else None
    return disks.get_visible(found.id if found else str(disk_id), call.viewer)
