# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Takes a volume out of its chain: what it holds is written into the one below, and who builds on it builds on that.

Three pieces of work, as Vdsm's engines ask for them: the lower one is made as large as the upper, gets its content,
and takes its place. The upper one stays whole until the last of them has made it illegal, so that each may be cut
short and done again, and a guest that is started in between sees its disk as it was. Nobody uses the image meanwhile.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.host.storage import qemu_img
from covirt.host.storage.bounded import storage_failures
from covirt.host.storage.file_domain import FileDomain
from covirt.host.storage.image_volumes import VolumeFacts, VolumeIsIllegal, VolumeIsShared
from covirt.host.storage.operation import Control, Kind, Params
from covirt.host.storage.qcow2_header import read_header
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_errors import UsedByOthers, WrongGeneration
from covirt.host.storage.volume_format import Legality, VolumeMetadata, next_generation
from covirt.host.storage.volume_work import Claims, GetDomain, VolumeWork
from covirt.host.virt.volumes import VolumeRef

PREPARE: Final = "prepareMerge"
MERGE: Final = "merge_subchain"
FINALIZE: Final = "finalizeMerge"


class NotOnTop(InvalidRequest):
    template = "volume {top} builds on {found} and not on {base}; only a volume that lies right above can be merged"


class MergedWhileUsed(Conflict):
    template = "image {image_id} is used by {users}; stop them before its volumes are merged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subchain:
    """``top`` builds on ``base_id``. ``base_generation``: refuse to merge when the lower one is of another."""

    top: VolumeRef
    base_id: str
    base_generation: int | None = None

    def as_params(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_params(cls, params: Params) -> "Subchain":
        return cls(
            top=VolumeRef(**params["top"]), base_id=params["base_id"], base_generation=params["base_generation"]
        )


class MergeWork:
    def __init__(self, *, domain: GetDomain, claims: Claims, work: VolumeWork) -> None:
        self._domain = domain
        self._claims = claims
        self._work = work

    def task_kinds(self) -> Sequence[Kind]:
        return (
            Kind(name=PREPARE, run=self.run_prepare, again=True),
            Kind(name=FINALIZE, run=self.run_finalize, again=True),
        )

    def job_kind(self) -> Kind:
        return Kind(name=MERGE, run=self.run_merge, again=True)

    def check(self, chain: Subchain) -> VolumeFacts:
        """The upper volume. Raises NoSuchVolume, BrokenChain, NotOnTop, VolumeIsShared, VolumeIsIllegal."""
        facts = self._domain(chain.top.domain_id).facts(chain.top)
        parent = facts.parent
        if parent is None or parent.ref.volume_id != chain.base_id:
            found = "none" if parent is None else parent.ref.volume_id
            raise NotOnTop(top=chain.top.volume_id, found=found, base=chain.base_id)
        for each in (facts, parent):
            if each.is_shared:
                raise VolumeIsShared(ref=each.ref)
            if not each.is_legal:
                raise VolumeIsIllegal(ref=each.ref)
        return facts

    # of a machine that runs: QEMU does the work

    def make_room(self, top: VolumeRef, base_id: str) -> None:
        """As MergedVolumes.make_room."""
        with storage_failures(top.domain_id):
            larger = self.check(Subchain(top=top, base_id=base_id)).capacity_bytes
            self._domain(top.domain_id).change_volume(
                top.image_id,
                base_id,
                lambda found: replace(found, capacity_bytes=max(found.capacity_bytes, larger)),
            )

    def take_out(self, top: VolumeRef, base_id: str) -> None:
        """As MergedVolumes.take_out."""
        with storage_failures(top.domain_id):
            domain, ids = self._domain(top.domain_id), (top.image_id, top.volume_id)
            if top.volume_id not in domain.volume_ids(top.image_id):
                return
            domain.change_volume(*ids, lambda found: replace(found, legality=Legality.ILLEGAL))
            for child in domain.children(*ids):
                domain.change_volume(top.image_id, child, lambda found: replace(found, parent_id=base_id))

    def run_prepare(self, params: Params, _control: Control) -> None:
        chain = Subchain.from_params(params)
        with self._alone(chain) as domain:
            top = self.check(chain)
            base = top.parent
            if base is None or base.capacity_bytes >= top.capacity_bytes:
                return
            if base.format is ImageFormat.RAW:
                self._work.extend(base.ref, top.capacity_bytes)
            else:  # which grows as the content is written into it
                larger = top.capacity_bytes
                domain.change_volume(
                    base.ref.image_id, base.ref.volume_id, lambda found: replace(found, capacity_bytes=larger)
                )

    def run_merge(self, params: Params, control: Control) -> None:
        chain = Subchain.from_params(params)
        with self._alone(chain) as domain:
            top = self.check(chain)
            ids = (chain.top.image_id, chain.base_id)
            _check_generation(domain.volume_metadata(*ids), chain)
            qemu_img.commit(top.layer, progress=control.progress, started=control.on_stop)
            control.check()
            domain.change_volume(*ids, lambda found: replace(found, generation=next_generation(found.generation)))

    def run_finalize(self, params: Params, _control: Control) -> None:
        """From the first step on the upper volume is used by nobody any more; it is deleted as any other."""
        chain = Subchain.from_params(params)
        with self._alone(chain) as domain:
            image_id, top_id = chain.top.image_id, chain.top.volume_id
            before = domain.change_volume(
                image_id, top_id, lambda found: replace(_on(chain, found), legality=Legality.ILLEGAL)
            )
            base = domain.volume_metadata(image_id, before.parent_id)
            for child in domain.children(image_id, top_id):
                ref = replace(chain.top, volume_id=child)
                if read_header(domain.images_path / image_id / child).backing_file != chain.base_id:
                    qemu_img.rebase(domain.facts(ref).layer, backing=chain.base_id, backing_format=base.format)
                domain.change_volume(image_id, child, lambda found: replace(found, parent_id=chain.base_id))

    @contextmanager
    def _alone(self, chain: Subchain) -> Iterator[FileDomain]:
        """Raises MergedWhileUsed."""
        ref = chain.top
        try:
            alone = self._claims.alone(ref.domain_id, ref.image_id, None, purpose="a merge of its volumes")
            with alone, storage_failures(ref.domain_id):
                yield self._domain(ref.domain_id)
        except UsedByOthers as error:
            raise MergedWhileUsed(image_id=ref.image_id, users=error.fields["users"]) from error


def _on(chain: Subchain, top: VolumeMetadata) -> VolumeMetadata:
    if top.parent_id != chain.base_id:
        raise NotOnTop(top=chain.top.volume_id, found=top.parent_id, base=chain.base_id)
    return top


def _check_generation(base: VolumeMetadata, chain: Subchain) -> None:
    if chain.base_generation is not None and base.generation != chain.base_generation:
        raise WrongGeneration(volume_id=chain.base_id, found=base.generation, asked=chain.base_generation)
