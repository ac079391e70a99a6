# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What tickets hold: a volume that somebody may read or write through the imageio daemon is not removed, nor is its
storage taken away.

The holder's name is made of a hash, since a ticket's id is the right to its volume, and holders are told to people.
"""

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.errors import Denied, InvalidRequest
from covirt.host.storage.domain_format import BLANK_ID
from covirt.host.storage.image_volumes import TICKET_PREFIX, ImageVolumes, VolumeFacts, check_writable
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.virt.volumes import VolumeRef

_SPARE_BYTES: Final = 1 << 20  # tables of a small qcow2 image


class TicketPathRefused(Denied):
    template = "a ticket's path must be the volume's own, as Image.prepare gives it, not {path}"


class TicketTooLarge(InvalidRequest):
    template = "the ticket is for {size} bytes and volume {ref} has room for {room}; extend the volume first"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketHolds:
    volumes: ImageVolumes

    def hold(self, ticket_id: str, path: Path, *, size_bytes: int, writes: bool) -> bool:
        """``path`` ends with DOMAIN/images/IMAGE/VOLUME. Whether it was not held before. Raises TicketPathRefused,
        TicketTooLarge, VolumeIsShared, WrittenWhileUsed, and what finding the volume raises."""
        domain_id, _, image_id, volume_id = path.parts[-4:]
        ref = VolumeRef(pool_id=BLANK_ID, domain_id=domain_id, image_id=image_id, volume_id=volume_id)
        user = _user(ticket_id)
        is_new = user not in self.volumes.users(ref)
        prepared = self.volumes.prepare(ref, user=user, as_is=True)
        try:
            volume = self.volumes.volume(ref)
            _check_path(path, Path(prepared))
            if writes:
                check_writable(self.volumes, volume)
                _check_size(volume, size_bytes)
        except BaseException:
            if is_new:
                self.volumes.teardown(ref, user=user)
            raise
        return is_new

    def let_go(self, ticket_id: str) -> None:
        """Never asks storage, which may be gone."""
        self.volumes.release(_user(ticket_id))

    def keep_only(self, ticket_ids: Collection[str]) -> None:
        """Of all that was held in an earlier life of the agent."""
        kept = {_user(ticket_id) for ticket_id in ticket_ids}
        for user in self.volumes.all_users():
            if user.startswith(TICKET_PREFIX) and user not in kept:
                self.volumes.release(user)


def _check_path(path: Path, prepared: Path) -> None:
    try:
        same = os.path.samefile(path, prepared)
    except OSError:
        same = False
    if not same:
        raise TicketPathRefused(path=path)


def _check_size(volume: VolumeFacts, size_bytes: int) -> None:
    room = volume.capacity_bytes
    if volume.format is ImageFormat.QCOW2:
        room += room // 10 + _SPARE_BYTES
    if size_bytes > room:
        raise TicketTooLarge(size=size_bytes, ref=volume.ref, room=room)


def _user(ticket_id: str) -> str:
    return f"{TICKET_PREFIX}{hashlib.sha256(ticket_id.lower().encode()).hexdigest()[:16]}"
