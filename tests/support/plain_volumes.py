# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes in a plain directory: what copies and imports ask of a storage domain, without its format."""

# ruff: noqa: ARG002 - the protocol's parameters

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from covirt.common.errors import NotFound, Unavailable
from covirt.common.files import remove_tree
from covirt.host.storage.directory import Directory
from covirt.host.storage.domain_format import BLANK_ID
from covirt.host.storage.image_volumes import Allocation, Result, VolumeFacts
from covirt.host.storage.qcow2_header import read_header
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_errors import UsedByOthers
from covirt.host.virt.volumes import VolumeRef


class NoSuchPlainVolume(NotFound):
    template = "there is no volume {ref}"


class PlainStorageGone(Unavailable):
    template = "the storage domain is not here"


class PlainVolumes:
    """One storage domain."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.held: set[tuple[VolumeRef, str]] = set()
        self.known: dict[VolumeRef, VolumeFacts] = {}
        self.legal_while_writing: list[bool] = []
        self.gone = False

    def new_ref(self, pool_id: str | None = None) -> VolumeRef:
        return VolumeRef(
            pool_id=pool_id or str(uuid4()), domain_id=str(uuid4()), image_id=str(uuid4()), volume_id=str(uuid4())
        )

    def add(
        self,
        path: Path,
        image_format: ImageFormat,
        *,
        parent: VolumeFacts | None = None,
        is_shared: bool = False,
        disk_type: str = "DATA",
        pool_id: str | None = None,
        domain_id: str | None = None,
    ) -> VolumeFacts:
        ref = self.new_ref(pool_id)
        is_qcow2 = image_format is ImageFormat.QCOW2
        capacity = read_header(path).virtual_bytes if is_qcow2 else path.stat().st_size
        if path.parent.parent == self.directory:  # in a directory of its own, as in a domain
            ref = replace(ref, image_id=path.parent.name, volume_id=path.name)
        if domain_id is not None:
            ref = replace(ref, domain_id=domain_id)
        facts = VolumeFacts(
            ref=ref, path=path, format=image_format, allocation=Allocation.SPARSE,
            capacity_bytes=capacity, disk_type=disk_type, description="", is_shared=is_shared,
            is_legal=True, generation=0, parent=parent,
        )  # fmt: skip
        self.known[facts.ref] = facts
        return facts

    def volume(self, ref: VolumeRef) -> VolumeFacts:
        if self.gone:
            raise PlainStorageGone
        try:
            return self.known[ref]
        except KeyError:
            raise NoSuchPlainVolume(ref=ref) from None

    def volumes(self, domain_id: str) -> list[VolumeFacts]:
        return [facts for ref, facts in self.known.items() if ref.domain_id == domain_id]

    def bounded(self, domain_id: str, function: Callable[[], Result]) -> Result:
        return function()

    def prepare(self, ref: VolumeRef, *, user: str, as_is: bool = False) -> str:
        path = str(self.volume(ref).path)
        self.held.add((ref, user))
        return path

    def teardown(self, ref: VolumeRef, *, user: str) -> None:
        self.held.discard((ref, user))

    def give_back(self, domain_id: str, image_id: str, *, user: str, volume_id: str | None = None) -> None:
        for ref, held_by in list(self.held):
            wanted = (ref.domain_id, ref.image_id) == (domain_id, image_id) and volume_id in (None, ref.volume_id)
            if wanted and held_by == user:
                self.teardown(ref, user=user)

    def release(self, user: str) -> None:
        self.held = {(ref, held_by) for ref, held_by in self.held if held_by != user}

    def users(self, ref: VolumeRef) -> frozenset[str]:
        return frozenset(user for held, user in self.held if held == ref)

    def all_users(self) -> frozenset[str]:
        return frozenset(user for _ref, user in self.held)

    @contextmanager
    def replacing(self, ref: VolumeRef, *, generation: int | None) -> Iterator[None]:
        before = self.volume(ref)
        self.known[ref] = replace(before, is_legal=False)
        yield
        self.legal_while_writing.append(self.known[ref].is_legal)
        self.known[ref] = replace(before, generation=before.generation + 1)

    def set_illegal(self, ref: VolumeRef) -> None:
        self.known[ref] = replace(self.volume(ref), is_legal=False)

    @contextmanager
    def alone(
        self, domain_id: str, image_id: str, volume_id: str | None, *, purpose: str, allowed: Collection[str] = ()
    ) -> Iterator[None]:
        held = (user for ref, user in self.held if ref.image_id == image_id and volume_id in (None, ref.volume_id))
        users = set(held) - set(allowed)
        if users:
            raise UsedByOthers(users=", ".join(sorted(users)))
        yield

    @contextmanager
    def images(self, domain_id: str, *, pool_id: str = BLANK_ID) -> Iterator[Directory]:
        if self.gone:
            raise PlainStorageGone
        with Directory.open(self.directory) as images:
            yield images

    def write_metadata(self, volume: VolumeFacts, directory: Directory) -> None:
        place = self.directory / volume.ref.image_id / volume.ref.volume_id
        self.known[volume.ref] = replace(volume, path=place)

    def remove_image(self, domain_id: str, image_id: str) -> None:
        remove_tree(self.directory / image_id)
        self.known = {ref: facts for ref, facts in self.known.items() if ref.image_id != image_id}
