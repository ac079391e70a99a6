# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that is killed after each call that it makes of its host for a transfer; the next one carries it on."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

import pytest

from covirt.common.root import Root
from covirt.engine.commands.command import Command
from covirt.engine.commands.transfers.begin import TransferDiskImage
from covirt.engine.commands.transfers.finish import CancelImageTransfer, FinalizeImageTransfer
from covirt.engine.commands.transfers.pause import PauseImageTransfer, ResumeImageTransfer
from covirt.engine.model.disk import Disk, DiskFormat, DiskStatus, ImageTransfer, TransferDirection, TransferPhase
from covirt.host.storage.socket_program import SocketProgram
from tests.support.killed_engine import is_killed
from tests.support.storage_site import Site, new_site
from tests.support.waiting import free_port

pytestmark = pytest.mark.root

_MIB = 1 << 20
_DISKS = 8
_COW, _RAW = DiskFormat.COW, DiskFormat.RAW


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Its own engine has no operations any more: each is another process'."""

    site: Site
    domain_id: str

    spare: Mapping[DiskFormat, list[str]]

    def is_killed(self, command: Command, kill: int) -> bool:
        return is_killed(self.site, command, kill)

    def transfer(self, transfer_id: str) -> ImageTransfer:
        with self.site.store.read() as session:
            found: ImageTransfer = session.image_transfers.get(transfer_id)
            return found

    def disk(self, disk_id: str) -> Disk | None:
        with self.site.store.read() as session:
            session.commands.check_unlocked([disk_id])
            return session.disks.find(id=disk_id)

    def begin(self, image_format: DiskFormat, *, kill: int = 0) -> ImageTransfer:
        """An upload of what a guest would see."""
        transfer = ImageTransfer(
            id=str(uuid4()),
            name="",
            disk_id=self.spare[image_format].pop(),
            direction=TransferDirection.UPLOAD,
            format=_RAW,
        )
        assert self.is_killed(TransferDiskImage(transfer=transfer), kill) == bool(kill)
        begun = self.transfer(transfer.id)
        assert begun.phase is TransferPhase.TRANSFERRING
        assert self.site.hosts.call(str(begun.host_id), "Host.get_image_ticket", {"uuid": begun.ticket_id})
        assert self.left
        return begun

    @property
    def left(self) -> list[str]:
        """What the host keeps for anybody."""
        directory = self.site.covirt_host.root.run_dir / "host"
        holders = json.loads((directory / "storage.json").read_text())
        return [
            *re.findall(r"(?:ticket|nbd)-[0-9a-f]+|\"engine\"", json.dumps(holders)),
            *map(str, (directory / "nbd").glob("*")),
        ]


@pytest.fixture(scope="module", name="place")
def place_fixture() -> Iterator[Place]:
    with new_site(f"[images]\nimageio_port = {free_port()}\n") as site:
        domain_id = site.new_domain("data")
        site.api.put(f"storagedomains/{domain_id}", {"critical_space_action_blocker": "0"})
        spare: dict[DiskFormat, list[str]] = {_COW: [], _RAW: []}
        for image_format, ids in spare.items():
            for number in range(_DISKS):
                disk = {"alias": f"{image_format}-{number}", "format": str(image_format), "provisioned_size": _MIB}
                ids.append(site.api.post("disks", disk)["id"])
        site.commands.stop()
        try:
            yield Place(site=site, domain_id=domain_id, spare=spare)
        finally:
            SocketProgram(Root(site.covirt_host.root.path).run_dir / "host/imageio/sock").end(grace_seconds=5)


@pytest.mark.parametrize("kill", [1, 2, 3, 4])
def test_a_beginning_and_a_good_end(place: Place, kill: int) -> None:
    transfer = place.begin(_COW, kill=kill)
    assert place.is_killed(FinalizeImageTransfer(transfer_id=transfer.id), kill)
    assert place.transfer(transfer.id).phase is TransferPhase.FINISHED_SUCCESS
    disk = place.disk(transfer.disk_id)
    assert disk is not None
    assert disk.status is DiskStatus.OK
    assert not place.left


@pytest.mark.parametrize("kill", [1, 2, 3])
def test_a_cancelled_upload(place: Place, kill: int) -> None:
    transfer = place.begin(_RAW)
    assert place.is_killed(CancelImageTransfer(transfer_id=transfer.id), kill)
    assert place.transfer(transfer.id).phase is TransferPhase.FINISHED_CLEANUP
    assert place.disk(transfer.disk_id) is None
    assert not list(place.site.covirt_host.root.path.glob(f"data/*/images/{transfer.disk_id}"))
    assert not place.left


def test_a_pause(place: Place) -> None:
    transfer = place.begin(_COW)
    assert place.is_killed(PauseImageTransfer(transfer_id=transfer.id), 1)
    assert place.transfer(transfer.id).phase is TransferPhase.PAUSED_USER
    assert place.is_killed(ResumeImageTransfer(transfer_id=transfer.id), 2)
    assert place.transfer(transfer.id).phase is TransferPhase.TRANSFERRING
    assert not place.is_killed(CancelImageTransfer(transfer_id=transfer.id), 0)
    assert place.disk(transfer.disk_id) is None
    assert not place.left
