# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes of a storage domain that are just paths, with who holds them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from covirt.common.errors import NotFound
from covirt.host.virt.volumes import VolumeRef


class NoSuchVolume(NotFound):
    template = "there is no volume {ref}"


@dataclass
class FakeVolumes:
    """covirt.host.virt.volumes.Volumes and GrowingVolumes, and MergedVolumes; all are raw."""

    paths: dict[VolumeRef, str]
    users: dict[VolumeRef, set[str]] = field(default_factory=dict)
    history: list[tuple[str, VolumeRef]] = field(default_factory=list)

    def prepare(self, ref: VolumeRef, *, user: str) -> str:
        self.history.append(("prepare", ref))
        if ref not in self.paths:
            raise NoSuchVolume(ref=ref)
        self.users.setdefault(ref, set()).add(user)
        return self.paths[ref]

    def teardown(self, ref: VolumeRef, *, user: str) -> None:
        self.history.append(("teardown", ref))
        self.users.get(ref, set()).discard(user)
        if not self.users.get(ref):
            self.users.pop(ref, None)

    def make_room(self, top: VolumeRef, base_id: str) -> None:
        self.history.append((f"room in {base_id}", top))

    def take_out(self, top: VolumeRef, base_id: str) -> None:
        self.history.append((f"merged into {base_id}", top))

    def size_for_guest(self, ref: VolumeRef, *, asked_bytes: int) -> int:
        assert asked_bytes > 0
        return Path(self.paths[ref]).stat().st_size

    @contextmanager
    def growing(self, ref: VolumeRef, *, size_bytes: int) -> Iterator[None]:
        yield
        self.history.append((f"grown to {size_bytes}", ref))
