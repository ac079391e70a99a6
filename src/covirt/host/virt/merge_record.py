# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A merge of two volumes of a running machine, as it is remembered, and what it asks of storage."""

from dataclasses import dataclass
from typing import Any, Protocol, Self

from covirt.host.virt.volumes import VolumeRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """``top`` builds on ``base_id``, and is written into it. ``stands_still``: the guest does, for the merge."""

    job_id: str
    top: VolumeRef
    base_id: str
    stands_still: bool = False

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(
            job_id=str(value["job_id"]),
            top=VolumeRef(**value["top"]),
            base_id=str(value["base_id"]),
            stands_still=bool(value["stands_still"]),
        )


class MergedVolumes(Protocol):
    """Metadata of volumes that QEMU merges. Each may be called again, and raises the storage's own errors."""

    def make_room(self, top: VolumeRef, base_id: str) -> None:
        """The lower volume may become as large as the upper one, which lies right above it."""

    def take_out(self, top: VolumeRef, base_id: str) -> None:
        """Nobody uses the upper one any more; who built on it builds on the lower."""
