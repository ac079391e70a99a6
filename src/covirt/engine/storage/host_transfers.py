# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs by which a host lets a client read or write a disk (docs/host-images.md). Each may be called again."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from covirt.engine.hosts.connections import Hosts
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.model.disk import Disk, DiskFormat, ImageTransfer, TransferDirection
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

TICKET_SECONDS: Final = 300
_PORT: Final = 54322  # of hosts that do not tell theirs, as oVirt's
_SPARE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFacts:
    """``idle_seconds`` since the client did something last."""

    active: bool
    transferred_bytes: int
    idle_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTransfers:
    """Of one host and pool."""

    hosts: Hosts
    host_id: str
    pool_id: str
    flow_id: str = ""

    def port(self) -> int:
        """That clients send disks to."""
        answer = self._call("Host.getCapabilities", {})
        port = answer.get("imageTransferPort") if isinstance(answer, Mapping) else None
        return port if isinstance(port, int) and port else _PORT

    def prepare(self, disk: Disk, transfer: ImageTransfer) -> str:
        """What the daemon shall read or write: the volume itself, or an NBD server that shows a qcow2 volume as the
        guest sees it."""
        if disk.format is transfer.format:
            params: dict[str, Json] = {**self._ids(disk), "allowIllegal": _writes(transfer)}
            answer = self._call("Image.prepare", params)
            path = answer.get("path") if isinstance(answer, Mapping) else answer
            return f"file://{path}"
        config: dict[str, Json] = {
            "sd_id": disk.storage_domain_id,
            "img_id": disk.id,
            "vol_id": disk.image_id,
            "readonly": not _writes(transfer),
            "discard": _writes(transfer),
            "detect_zeroes": _writes(transfer),
            "backing_chain": not transfer.shallow,
        }
        self.give_back(disk, transfer)  # of a call that was cut short: an address is told once
        return str(self._call("NBD.start_server", {"server_id": _server(transfer), "config": config}))

    def give_back(self, disk: Disk, transfer: ImageTransfer) -> None:
        """What prepare() has made; nothing of it is fine."""
        if disk.format is not transfer.format:
            self._call("NBD.stop_server", {"server_id": _server(transfer)})
            return
        try:
            self._call("Image.teardown", self._ids(disk))
        except HostRefused as error:
            if error.code not in (Code.NO_SUCH_IMAGE, Code.NO_SUCH_VOLUME, Code.IMAGE_PATH):
                raise

    def size(self, disk: Disk, transfer: ImageTransfer) -> int:
        """How much may be read or written, in bytes."""
        if disk.format is not transfer.format or disk.format is DiskFormat.RAW:
            return disk.provisioned_size_bytes
        if _writes(transfer):  # tables of a full qcow2 image
            return disk.provisioned_size_bytes + disk.provisioned_size_bytes // 10 + _SPARE_BYTES
        info = self._call("Volume.getInfo", self._ids(disk))
        size = info.get("apparentsize") if isinstance(info, Mapping) else None
        return int(str(size or 0))

    def add_ticket(self, transfer: ImageTransfer) -> None:
        ticket: dict[str, Json] = {
            "uuid": transfer.ticket_id,
            "url": transfer.source_url,
            "size": transfer.size_bytes,
            "timeout": TICKET_SECONDS,
            "inactivity_timeout": transfer.inactivity_timeout_seconds,
            "ops": ["read", "write"] if _writes(transfer) else ["read"],
            "sparse": True,
            "dirty": False,
            "transfer_id": transfer.id,
        }
        self._call("Host.add_image_ticket", {"ticket": ticket})

    def extend_ticket(self, transfer: ImageTransfer) -> None:
        self._call("Host.extend_image_ticket", {"uuid": transfer.ticket_id, "timeout": TICKET_SECONDS})

    def remove_ticket(self, transfer: ImageTransfer) -> None:
        """One that is gone is fine."""
        self._call("Host.remove_image_ticket", {"uuid": transfer.ticket_id})

    def ticket(self, transfer: ImageTransfer) -> TicketFacts:
        """Raises HostRefused for one that is not there."""
        answer = self._call("Host.get_image_ticket", {"uuid": transfer.ticket_id})
        found = answer if isinstance(answer, Mapping) else {}
        inner = found.get("result", found)
        table = inner if isinstance(inner, Mapping) else {}
        return TicketFacts(
            active=bool(table.get("active")),
            transferred_bytes=_whole(table.get("transferred")),
            idle_seconds=_whole(table.get("idle_time")),
        )

    def verify(self, disk: Disk) -> None:
        """What was uploaded is a disk, and nothing else: the host calls it legal again, if it did not. Raises
        HostRefused."""
        self._call("Volume.verify_untrusted", self._ids(disk))
        self._call("Volume.setLegality", {**self._ids(disk), "legality": "LEGAL"})

    def _ids(self, disk: Disk) -> dict[str, Json]:
        return {
            "storagepoolID": self.pool_id,
            "storagedomainID": disk.storage_domain_id,
            "imageID": disk.id,
            "volumeID": disk.image_id,
        }

    def _call(self, verb: str, params: Mapping[str, Json]) -> Json:
        return self.hosts.call(self.host_id, verb, params, flow_id=self.flow_id)


def _writes(transfer: ImageTransfer) -> bool:
    return transfer.direction is TransferDirection.UPLOAD


def _server(transfer: ImageTransfer) -> str:
    return str(uuid.uuid5(uuid.UUID(transfer.id), "nbd"))


def _whole(value: Json) -> int:
    return int(value) if isinstance(value, int | float) else 0
