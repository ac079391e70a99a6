# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Uploads and downloads of disks."""

from collections.abc import Sequence

from covirt.engine.api.call import Call
from covirt.engine.api.changes import transfers as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.loading import by_id, found
from covirt.engine.api.resources.values import named, reference
from covirt.engine.auth.permits import Right
from covirt.engine.commands.disks.facts import of_disk
from covirt.engine.model.disk import ImageTransfer


def _transfers(call: Call, items: Sequence[tuple[str, ImageTransfer]]) -> Sequence[Node]:
    """Who may not change the disk is not told the ticket, which is in the URLs."""
    base = call.services.transfer_proxy()
    asked, permissions = call.asked, call.session.permissions
    number = str(Right.EDIT_DISK_PROPERTIES.number)
    return [
        _node(
            transfer,
            proxy=base,
            may_use=permissions.has_permit(asked.principal_ids, number, of_disk(transfer.disk_id)),
        )
        for _, transfer in items
    ]


def _node(transfer: ImageTransfer, *, proxy: str, may_use: bool) -> Node:
    path = f"/images/{transfer.ticket_id}"
    is_told = may_use and bool(transfer.transfer_url)
    values: dict[str, Value] = {
        **named(transfer),
        "phase": str(transfer.phase),
        "direction": str(transfer.direction),
        "format": str(transfer.format),
        "timeout_policy": str(transfer.timeout_policy),
        "inactivity_timeout": transfer.inactivity_timeout_seconds,
        "transfer_url": transfer.transfer_url if is_told else None,
        "proxy_url": f"{proxy}{path}" if is_told and proxy else None,
        "transferred": transfer.transferred_bytes,
        "active": transfer.active,
        "shallow": transfer.shallow,
        "disk": reference("Disk", transfer.disk_id),
        "image": Node(type="Image", id=transfer.disk_id),
        "host": reference("Host", transfer.host_id),
    }
    return Node(type="ImageTransfer", id=transfer.id, values=values)


IMAGE_TRANSFERS = Collection(
    path="imagetransfers",
    type="ImageTransfer",
    show=_transfers,
    list=found(lambda session: session.image_transfers),
    get=by_id(lambda session: session.image_transfers),
    add=changes.begin_transfer,
    actions={
        "finalize": changes.finalize_transfer,
        "cancel": changes.cancel_transfer,
        "pause": changes.pause_transfer,
        "resume": changes.resume_transfer,
        "extend": changes.extend_transfer,
    },
)
