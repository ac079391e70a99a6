# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes as guests, copies and container images use them: found by their ids, held as long as they are needed."""

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

from covirt.common.errors import Error
from covirt.common.files import make_directory
from covirt.host.storage.bounded import BoundedCalls, storage_failures
from covirt.host.storage.directory import Directory
from covirt.host.storage.domain_format import BLANK_ID
from covirt.host.storage.file_domain import FileDomain, meta_name
from covirt.host.storage.image_volumes import Result, VolumeFacts, VolumeIsIllegal
from covirt.host.storage.qcow2_header import read_header
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_errors import BrokenVolumeMetadata, NoSuchVolume, VolumeWouldShrink, WrongGeneration
from covirt.host.storage.storage_paths import StoragePaths, checked_uuid, replace_link
from covirt.host.storage.storage_state import StateFile
from covirt.host.storage.volume_format import Legality, Place, VolumeMetadata, next_generation
from covirt.host.storage.volume_work import rounded
from covirt.host.virt.volumes import VolumeRef

log = logging.getLogger(__name__)


class StoredVolumes:
    """``usable`` gives a domain whose volumes may be used as part of a pool, or raises.

    ``changed`` is told when other domains may be in use than before.
    """

    def __init__(
        self,
        *,
        paths: StoragePaths,
        state: StateFile,
        calls: BoundedCalls,
        usable: Callable[[str, str], FileDomain],
        changed: Callable[[], object],
    ) -> None:
        self._paths = paths
        self._state = state
        self._calls = calls
        self._usable = usable
        self._changed = changed
        self._links = threading.Lock()

    # for guests

    def prepare(self, ref: VolumeRef, *, user: str, as_is: bool = False) -> str:
        """``as_is``: whatever was written to it, for who writes it anew.

        Raises NoSuchVolume, BrokenChain, VolumeIsIllegal, ForeignReference, LargerThanItsVolume, BrokenImage,
        StorageDomainSilent, and what finding its domain raises.
        """
        ref = _checked(ref)
        self._usable(ref.pool_id, ref.domain_id)
        is_new = self._state.hold(ref, user)  # before the look: nobody removes it between that and its use
        try:
            domain = self._usable(ref.pool_id, ref.domain_id)
            facts = self._calls.call(domain.id, lambda: _whole(domain, ref, as_is=as_is))
            self._link(domain, ref.image_id)
        except BaseException:
            if is_new:
                self._state.let_go(ref, user)
                self._unlink(ref)
            raise
        self._changed()
        return str(facts.path)

    def teardown(self, ref: VolumeRef, *, user: str) -> None:
        """Never asks storage, which may be gone."""
        ref = _checked(ref)
        self._state.let_go(ref, user)
        self._unlink(ref)
        self._changed()

    def give_back(self, domain_id: str, image_id: str, *, user: str, volume_id: str | None = None) -> None:
        """Whatever pool was named when it was prepared."""
        for ref, users in self._state.now.held.items():
            wanted = (ref.domain_id, ref.image_id) == (domain_id, image_id) and volume_id in (None, ref.volume_id)
            if wanted and user in users:
                self.teardown(ref, user=user)

    def release(self, user: str) -> None:
        for ref, users in self._state.now.held.items():
            if user in users:
                self.teardown(ref, user=user)

    def users(self, ref: VolumeRef) -> frozenset[str]:
        """Of the volume, whatever pool they named."""
        wanted = (ref.domain_id, ref.image_id, ref.volume_id)
        held = self._state.now.held.items()
        same = (users for one, users in held if (one.domain_id, one.image_id, one.volume_id) == wanted)
        return frozenset().union(*same)

    def all_users(self) -> frozenset[str]:
        return frozenset().union(*self._state.now.held.values())

    def domain_users(self, domain_id: str) -> frozenset[str]:
        held = self._state.now.held.items()
        return frozenset().union(*(users for one, users in held if one.domain_id == domain_id))

    def held_domains(self) -> frozenset[str]:
        return frozenset(ref.domain_id for ref in self._state.now.held)

    def size_for_guest(self, ref: VolumeRef, *, asked_bytes: int) -> int:
        """Raises NoSuchVolume, VolumeWouldShrink, StorageDomainSilent."""
        ref = _checked(ref)
        domain = self._usable(ref.pool_id, ref.domain_id)

        def size() -> int:
            metadata = domain.volume_metadata(ref.image_id, ref.volume_id)
            if metadata.format is ImageFormat.RAW:
                return domain.size(ref.image_id, ref.volume_id).apparent_bytes
            if asked_bytes < metadata.capacity_bytes:
                present = metadata.capacity_bytes
                raise VolumeWouldShrink(volume_id=ref.volume_id, present=present, asked=asked_bytes)
            return rounded(asked_bytes)

        return self._calls.call(domain.id, size)

    @contextmanager
    def growing(self, ref: VolumeRef, *, size_bytes: int) -> Iterator[None]:
        """The metadata first: killed in between, the volume is larger than its image, which hurts nobody."""
        ref = _checked(ref)
        domain = self._usable(ref.pool_id, ref.domain_id)

        def set_capacity(chosen: Callable[[VolumeMetadata], int]) -> VolumeMetadata:
            def changed(found: VolumeMetadata) -> VolumeMetadata:
                return replace(found, capacity_bytes=chosen(found))

            return self._calls.call(domain.id, lambda: domain.change_volume(ref.image_id, ref.volume_id, changed))

        def take_back(before: VolumeMetadata) -> None:
            def present(_found: VolumeMetadata) -> int:
                header = read_header(domain.images_path / ref.image_id / ref.volume_id)
                return max(before.capacity_bytes, header.virtual_bytes)

            try:
                set_capacity(present)
            except (Error, OSError) as error:
                log.warning("A volume that did not grow keeps its new capacity volume=%s: %s", ref, error)

        before = set_capacity(lambda found: max(found.capacity_bytes, size_bytes))
        try:
            yield
        except Exception:
            if before.format is ImageFormat.QCOW2 and before.capacity_bytes < size_bytes:
                take_back(before)
            raise

    # for copies and container images

    def volume(self, ref: VolumeRef) -> VolumeFacts:
        ref = _checked(ref)
        domain = self._usable(ref.pool_id, ref.domain_id)
        return self._calls.call(domain.id, lambda: domain.facts(ref))

    def volumes(self, domain_id: str) -> list[VolumeFacts]:
        domain = self._usable(BLANK_ID, domain_id)
        return self._calls.call(domain.id, lambda: _all_volumes(domain))

    def bounded(self, domain_id: str, function: Callable[[], Result]) -> Result:
        """Raises StorageDomainSilent."""
        return self._calls.call(domain_id, function)

    @contextmanager
    def replacing(self, ref: VolumeRef, *, generation: int | None) -> Iterator[None]:
        """Raises WrongGeneration."""
        ref = _checked(ref)
        domain = self._usable(ref.pool_id, ref.domain_id)

        def begun(before: VolumeMetadata) -> VolumeMetadata:
            if generation is not None and before.generation != generation:
                raise WrongGeneration(volume_id=ref.volume_id, found=before.generation, asked=generation)
            return replace(before, legality=Legality.ILLEGAL)

        def ended(during: VolumeMetadata) -> VolumeMetadata:
            return replace(during, legality=Legality.LEGAL, generation=next_generation(during.generation))

        with storage_failures(domain.id):
            domain.change_volume(ref.image_id, ref.volume_id, begun)
        yield
        with storage_failures(domain.id):
            domain.change_volume(ref.image_id, ref.volume_id, ended)

    def set_illegal(self, ref: VolumeRef) -> None:
        ref = _checked(ref)
        domain = self._usable(ref.pool_id, ref.domain_id)
        illegal = partial(replace, legality=Legality.ILLEGAL)
        self._calls.call(domain.id, lambda: domain.change_volume(ref.image_id, ref.volume_id, illegal))

    def alone(
        self, domain_id: str, image_id: str, volume_id: str | None, *, purpose: str, allowed: Collection[str] = ()
    ) -> AbstractContextManager[None]:
        return self._state.alone(domain_id, image_id, volume_id, purpose=purpose, allowed=allowed)

    def images(self, domain_id: str, *, pool_id: str = BLANK_ID) -> AbstractContextManager[Directory]:
        return self._usable(pool_id, domain_id).images()

    def write_metadata(self, volume: VolumeFacts, directory: Directory) -> None:
        metadata = VolumeMetadata(
            domain_id=volume.ref.domain_id,
            image_id=volume.ref.image_id,
            capacity_bytes=volume.capacity_bytes,
            format=volume.format,
            allocation=volume.allocation,
            disk_type=volume.disk_type,
            parent_id=BLANK_ID if volume.parent is None else volume.parent.ref.volume_id,
            place=Place.SHARED if volume.is_shared else Place.LEAF,
            legality=Legality.LEGAL if volume.is_legal else Legality.ILLEGAL,
            description=volume.description,
            generation=volume.generation,
        )
        directory.replace(meta_name(volume.ref.volume_id), metadata.dump(volume_id=volume.ref.volume_id))

    def remove_image(self, domain_id: str, image_id: str) -> None:
        self._usable(BLANK_ID, domain_id).remove_image(checked_uuid("imageID", image_id))

    # inside

    def _link(self, domain: FileDomain, image_id: str) -> None:
        """Vdsm's link to an image in use, which its tools look for."""
        with self._links:
            link = self._paths.links / domain.id / image_id
            make_directory(link.parent, mode=0o755)
            replace_link(link, domain.images_path / image_id)

    def _unlink(self, ref: VolumeRef) -> None:
        with self._links:
            held = ((one.domain_id, one.image_id) for one in self._state.now.held)
            if (ref.domain_id, ref.image_id) in held:
                return
            link = self._paths.links / ref.domain_id / ref.image_id
            link.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other images of the domain are in use
                link.parent.rmdir()


def _checked(ref: VolumeRef) -> VolumeRef:
    """Every id is safe as a part of a path. Raises BadStorageId."""
    return VolumeRef(
        pool_id=checked_uuid("poolID", ref.pool_id or BLANK_ID),
        domain_id=checked_uuid("domainID", ref.domain_id),
        image_id=checked_uuid("imageID", ref.image_id),
        volume_id=checked_uuid("volumeID", ref.volume_id),
    )


def _whole(domain: FileDomain, ref: VolumeRef, *, as_is: bool) -> VolumeFacts:
    """With the files of its whole chain there; unless ``as_is``, legal, and as its metadata says."""
    facts: VolumeFacts | None = domain.facts(ref)
    first = facts
    while facts is not None:
        domain.size(ref.image_id, facts.ref.volume_id)
        facts = facts.parent
    assert first is not None  # noqa: S101 - facts() gives the volume itself
    if not as_is:
        if not first.is_legal:
            raise VolumeIsIllegal(ref=ref)
        first.layer.check()
    return first


def _all_volumes(domain: FileDomain) -> list[VolumeFacts]:
    found = []
    for image_id in domain.image_ids():
        for volume_id in domain.volume_ids(image_id):
            ref = VolumeRef(pool_id=BLANK_ID, domain_id=domain.id, image_id=image_id, volume_id=volume_id)
            try:
                found.append(domain.facts(ref))
            except (NoSuchVolume, BrokenVolumeMetadata) as error:  # one that goes just now hides no other
                log.debug("A volume is left out volume=%s: %s", ref, error)
            except Error as error:
                log.warning("A volume is left out volume=%s: %s", ref, error)
    return found
