# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The job copy_data: one volume's content into another, in whatever formats the two have.

The target is illegal from the first byte to the last, and of the next generation then: whoever finds the host dead
can tell from the volume alone whether the copy was made.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

from covirt.common.errors import Conflict, InvalidRequest, Unsupported
from covirt.host.storage import qemu_img
from covirt.host.storage.image_volumes import (
    ENGINE,
    JOB_PREFIX,
    Allocation,
    ImageVolumes,
    VolumeFacts,
    VolumeIsShared,
    check_still,
)
from covirt.host.storage.operation import Control, Kind, Params
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_errors import UsedByOthers
from covirt.host.storage.volume_work import BLOCK
from covirt.host.virt.volumes import VolumeRef

COPY_DATA: Final = "copy_data"


class TargetInUse(Conflict):
    template = "volume {ref} is used by {users}, and a copy would overwrite it; stop them first"


class TargetIsRead(InvalidRequest):
    template = "volume {ref} is what would be copied, or lies below it; copy into another one"


class NoBitmapsInRaw(Unsupported):
    template = "bitmaps live in qcow2 only; copy without them, or between qcow2 volumes"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyEndpoint:
    """One side. ``prepared``: the caller holds the volume already, and gives it back itself."""

    ref: VolumeRef
    generation: int | None = None
    prepared: bool = False


def copy_params(*, job_id: str, source: CopyEndpoint, target: CopyEndpoint, bitmaps: bool) -> Params:
    """What the job's record holds."""
    return {"job_id": job_id, "source": asdict(source), "target": asdict(target), "bitmaps": bitmaps}


class CopyData:
    def __init__(self, volumes: ImageVolumes) -> None:
        self._volumes = volumes

    def kind(self) -> Kind:
        return Kind(name=COPY_DATA, run=self.run, undo=self.undo)

    def run(self, params: Params, control: Control) -> None:
        source, target = _endpoint(params["source"]), _endpoint(params["target"])
        user = _user(params)
        with ExitStack() as held:
            for side in (source, target):
                if not side.prepared:
                    self._volumes.prepare(side.ref, user=user, as_is=side is target)
                    held.callback(self._volumes.teardown, side.ref, user=user)
            from_volume, to_volume = self._volumes.volume(source.ref), self._volumes.volume(target.ref)
            _check(from_volume, to_volume, bitmaps=params["bitmaps"])
            check_still(from_volume, self._volumes.users(source.ref))
            with self._target(target.ref, user), self._volumes.replacing(target.ref, generation=target.generation):
                qemu_img.convert(
                    from_volume.layer,
                    to_volume.layer,
                    progress=control.progress,
                    started=control.on_stop,
                    bitmaps=params["bitmaps"],
                )
                control.check()
                self._allocate(to_volume)

    def _allocate(self, target: VolumeFacts) -> None:
        """Zeros that were written gave blocks back: all of a preallocated volume, and the first of any raw one, which
        tells QEMU how storage wants to be written to."""
        if target.format is not ImageFormat.RAW:
            return
        ref = target.ref
        with self._volumes.images(ref.domain_id) as images, images.sub(ref.image_id) as image:
            is_whole = target.allocation is Allocation.PREALLOCATED
            image.allocate(ref.volume_id, start_bytes=0, end_bytes=target.capacity_bytes if is_whole else BLOCK)

    @contextmanager
    def _target(self, ref: VolumeRef, user: str) -> Iterator[None]:
        """Nobody but the engine and this job uses it, and nobody begins to."""
        ids = (ref.domain_id, ref.image_id, ref.volume_id)
        try:
            with self._volumes.alone(*ids, purpose="a copy into it", allowed=(user, ENGINE)):
                yield
        except UsedByOthers as error:
            raise TargetInUse(ref=ref, users=error.fields["users"]) from error

    def undo(self, params: Params) -> None:
        """The target stays illegal, as the engine expects; only what is held is given back."""
        for name in ("source", "target"):
            side = _endpoint(params[name])
            if not side.prepared:
                self._volumes.teardown(side.ref, user=_user(params))


def _check(source: VolumeFacts, target: VolumeFacts, *, bitmaps: bool) -> None:
    if target.is_shared:
        raise VolumeIsShared(ref=target.ref)
    read: VolumeFacts | None = source
    while read is not None:
        if (read.ref.domain_id, read.ref.volume_id) == (target.ref.domain_id, target.ref.volume_id):
            raise TargetIsRead(ref=target.ref)
        read = read.parent
    if bitmaps and ImageFormat.RAW in (source.format, target.format):
        raise NoBitmapsInRaw


def _endpoint(value: Mapping[str, Any]) -> CopyEndpoint:
    return CopyEndpoint(**{**value, "ref": VolumeRef(**value["ref"])})


def _user(params: Params) -> str:
    return f"{JOB_PREFIX}{params['job_id']}"
