# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What virt asks of storage: a path for a volume, held as long as somebody uses it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRef:
    """One volume of a storage domain, by its four UUIDs."""

    pool_id: str
    domain_id: str
    image_id: str
    volume_id: str

    def __str__(self) -> str:
        return f"{self.domain_id}/{self.image_id}/{self.volume_id}"


class Volumes(Protocol):
    """A volume is prepared once for each user, and taken down when its last user gave it back.

    Both may be called again for the same reference and user: they then change nothing.
    """

    def prepare(self, ref: VolumeRef, *, user: str) -> str:
        """The absolute path of the volume's file. Raises the storage's own errors."""

    def teardown(self, ref: VolumeRef, *, user: str) -> None:
        """Give it back. One that is not prepared is fine, so that what was half done can be finished."""


class GrowingVolumes(Protocol):
    """Sizes of volumes while a guest writes to them."""

    def size_for_guest(self, ref: VolumeRef, *, asked_bytes: int) -> int:
        """How large the guest's disk becomes: a raw one as its file, which was extended before; a qcow2 one as asked.

        Raises the storage's own errors.
        """

    def growing(self, ref: VolumeRef, *, size_bytes: int) -> AbstractContextManager[None]:
        """While the hypervisor makes it so large; where that fails it is as large as it was."""
        ...
