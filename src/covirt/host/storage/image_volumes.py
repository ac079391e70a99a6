# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What copies, container images and NBD servers ask of storage domains."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol, TypeVar

from covirt.common.errors import Conflict, InvalidRequest
from covirt.host.storage.directory import Directory
from covirt.host.storage.domain_format import BLANK_ID
from covirt.host.storage.qemu_img import ImageFormat, Layer
from covirt.host.virt.volumes import VolumeRef

Result = TypeVar("Result")

ENGINE: Final = "engine"  # who holds what an engine prepares by itself, for a transfer for one
JOB_PREFIX: Final = "job-"  # and then the id of a job
NBD_PREFIX: Final = "nbd-"  # and then the id of an NBD server
TICKET_PREFIX: Final = "ticket-"  # and then a hash of a ticket's id
CONTAINER_IMAGE_DISK_TYPE: Final = (
    "ISOF"  # in the format's words a read-only disc, which is what a container image is
)


class VolumeIsShared(Conflict):
    template = "volume {ref} is a template's, and others build on it; take another volume, or only read it"


class VolumeIsIllegal(Conflict):
    template = "volume {ref} was not written to its end; write it again or remove it"


class WrittenWhileUsed(Conflict):
    template = "volume {ref} is used by {users}, whom a write from outside would damage; stop them first"


class CopiedWhileUsed(Conflict):
    template = (
        "volume {ref} is used by {users}, and a copy of what they write to would be whole at no moment; stop them"
    )


class UnknownVolumeFormat(InvalidRequest):
    template = "{format!r} is no volume format; give RAW (5) or COW (4)"


class Allocation(StrEnum):
    SPARSE = "SPARSE"
    PREALLOCATED = "PREALLOCATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFacts:
    """One volume, as its metadata and its file say. ``parent`` is the volume below it in its chain.

    ``is_own``: made in this image; False for a template's that is linked into an image that builds on it.
    """

    ref: VolumeRef
    path: Path
    format: ImageFormat
    allocation: Allocation
    capacity_bytes: int
    disk_type: str
    description: str
    is_shared: bool
    is_legal: bool
    generation: int
    parent: "VolumeFacts | None" = None
    is_own: bool = True

    @property
    def layer(self) -> Layer:
        """As QEMU's programs are to open it."""
        below = None if self.parent is None else self.parent.layer
        return Layer(path=self.path, format=self.format, below=below, capacity_bytes=self.capacity_bytes)


class ImageVolumes(Protocol):
    """Storage domains as this slice sees them. Everything may raise the storage's own errors."""

    def volume(self, ref: VolumeRef) -> VolumeFacts:
        """One volume and what lies below it."""
        ...

    def volumes(self, domain_id: str) -> list[VolumeFacts]:
        """All volumes of a domain that are whole (their metadata is written)."""
        ...

    def bounded(self, domain_id: str, function: Callable[[], Result]) -> Result:
        """The function's result, or its exception, as long as the storage answers in time."""
        ...

    def prepare(self, ref: VolumeRef, *, user: str, as_is: bool = False) -> str:
        """Hold the volume for ``user``; gives its path. ``as_is``: also one that was not written to its end."""
        ...

    def teardown(self, ref: VolumeRef, *, user: str) -> None:
        """Give it back; one that is not held is fine."""
        ...

    def give_back(self, domain_id: str, image_id: str, *, user: str, volume_id: str | None = None) -> None:
        """What ``user`` holds of an image, or of one of its volumes. Never asks storage, which may be gone."""
        ...

    def release(self, user: str) -> None:
        """Give back everything that ``user`` holds, in an earlier life of the agent too."""
        ...

    def users(self, ref: VolumeRef) -> frozenset[str]:
        """Who holds the volume on this host."""
        ...

    def all_users(self) -> frozenset[str]:
        """Who holds any volume on this host."""
        ...

    def replacing(self, ref: VolumeRef, *, generation: int | None) -> AbstractContextManager[None]:
        """While the content is written anew: illegal until it is whole, then of the next generation.

        Another generation than the given one is refused before anything is changed.
        """
        ...

    def set_illegal(self, ref: VolumeRef) -> None:
        """Nobody uses its content until it is told to be legal again."""
        ...

    def alone(
        self, domain_id: str, image_id: str, volume_id: str | None, *, purpose: str, allowed: Collection[str] = ()
    ) -> AbstractContextManager[None]:
        """While nobody but ``allowed`` may hold the volume, or any of the image.

        Raises UsedByOthers, where somebody does already.
        """
        ...

    def images(self, domain_id: str, *, pool_id: str = BLANK_ID) -> AbstractContextManager[Directory]:
        """Where the domain's images lie; of an active domain of the pool, unless that is the blank one."""
        ...

    def write_metadata(self, volume: VolumeFacts, directory: Directory) -> None:
        """Write the metadata of a volume into the directory where its file is."""
        ...

    def remove_image(self, domain_id: str, image_id: str) -> None:
        """Remove the image with all its volumes, whatever state it is in; one that is gone is fine."""
        ...


def uploaders(users: Collection[str]) -> frozenset[str]:
    """Those through whom an engine reads or writes a volume from outside; the others are guests and long work."""
    return frozenset(user for user in users if user == ENGINE or user.startswith((NBD_PREFIX, TICKET_PREFIX)))


def check_writable(volumes: ImageVolumes, volume: VolumeFacts) -> None:
    """Whether a stranger may write to it just now. Raises VolumeIsShared, WrittenWhileUsed."""
    if volume.is_shared:
        raise VolumeIsShared(ref=volume.ref)
    users = volumes.users(volume.ref)
    if others := users - uploaders(users):
        raise WrittenWhileUsed(ref=volume.ref, users=", ".join(sorted(others)))


def check_still(volume: VolumeFacts, users: frozenset[str]) -> None:
    """Whether nobody writes to it whom a copy would have to wait for. Raises CopiedWhileUsed.

    QEMU's locks keep a copy from a machine's disk, with words that tell nobody why; a container takes none.
    """
    if volume.is_shared or volume.disk_type == CONTAINER_IMAGE_DISK_TYPE:
        return
    guests = [user for user in users - uploaders(users) if not user.startswith(JOB_PREFIX)]
    if guests:
        raise CopiedWhileUsed(ref=volume.ref, users=", ".join(sorted(guests)))
