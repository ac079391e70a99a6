# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes of a running machine are merged: QEMU writes the upper one into the lower, and goes on without it.

A merge is written down before it is begun, and struck out when the storage's metadata says what QEMU has made of the
chain: the agent that comes after one that was killed finds out from the running domain how far it is. Where the upper
volume is the one that the guest writes to, the guest stands still for the moment in which it goes on in the lower
one, until that is written down: both hold the same then, and whoever finds them after a crash may merge them again.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import libvirt
from lxml import etree

from covirt.common.errors import Error
from covirt.host.virt.device_errors import NoSuchDisk, NotMerged
from covirt.host.virt.document import attribute_of
from covirt.host.virt.errors import HypervisorUnavailable, VmIsDown
from covirt.host.virt.guest import live_xml
from covirt.host.virt.hotplug import HotPlug, known_device
from covirt.host.virt.libvirt_errors import told_as
from covirt.host.virt.merge_record import Merge, MergedVolumes
from covirt.host.virt.vm_guest import VmGuest
from covirt.hostapi.json import JsonValue

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 10.0
_RELATIVE: Final = libvirt.VIR_DOMAIN_BLOCK_COMMIT_RELATIVE
_ACTIVE: Final = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chain:
    """Of one disk as it is now: libvirt's numbers of its volumes, from the top down."""

    name: str
    volumes: Sequence[tuple[str, str]]
    ready: bool  # the guest may go on in the lower volume

    def position(self, volume_id: str) -> int | None:
        return next((at for at, (found, _) in enumerate(self.volumes) if found == volume_id), None)

    def address(self, at: int) -> str:
        return f"{self.name}[{self.volumes[at][1]}]"


class LiveMerges:
    """A part of the agent; ``guests``: those that run now."""

    def __init__(self, *, hotplug: HotPlug, volumes: MergedVolumes, guests: Callable[[], Iterable[VmGuest]]) -> None:
        self._hotplug = hotplug
        self._volumes = volumes
        self._guests = guests
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._progress: dict[str, tuple[int, int]] = {}
        self._thread = threading.Thread(target=self._run, name="vm-merges", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Merges go on; the next agent ends them."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(_STOP_SECONDS)

    def wake(self) -> None:
        """There may be merges."""
        self._wake.set()

    def begin(self, guest: VmGuest, merge: Merge, *, bandwidth_mib: int = 0) -> None:
        """One that goes on, or has ended well, may be begun again. ``bandwidth_mib``: a second, at most; 0 for no
        limit. Raises NoSuchDisk, NotMerged, and the storage's
        errors."""
        with self._hotplug.changing(guest, NotMerged) as undo:
            if any((each.top, each.base_id) == (merge.top, merge.base_id) for each in guest.merges):
                return
            chain = _chain(live_xml(guest), merge)
            top, base = chain.position(merge.top.volume_id), chain.position(merge.base_id)
            if top is None and base is not None:
                return
            if top is None or base != top + 1:
                raise NotMerged(reason=f"volume {merge.top.volume_id} does not lie right above {merge.base_id}")
            if any(each.top.image_id == merge.top.image_id for each in guest.merges):
                raise NotMerged(reason="other volumes of the disk are being merged; wait for that")
            self._volumes.make_room(merge.top, merge.base_id)
            undo.add("forget the merge", lambda: _forget(guest, merge))
            guest.merging((*guest.merges, merge))
            if top == 0:
                below = replace(merge.top, volume_id=merge.base_id)
                self._hotplug.hold(guest, below, known_device(live_xml(guest), chain.name, below), undo)
            flags = _RELATIVE | (_ACTIVE if top == 0 else 0)
            guest.domain().blockCommit(chain.name, chain.address(base), chain.address(top), bandwidth_mib, flags)
        self._wake.set()

    def jobs(self, merges: Iterable[Merge]) -> dict[str, JsonValue]:
        """As VM.getStats tells them."""
        found: dict[str, JsonValue] = {}
        for merge in merges:
            done, all_of_it = self._progress.get(merge.job_id, (0, 0))
            found[merge.job_id] = {
                "id": merge.job_id,
                "jobType": "block",
                "blockJobType": "commit",
                "bandwidth": 0,
                "cur": str(done),
                "end": str(all_of_it),
                "imgUUID": merge.top.image_id,
            }
        return found

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            busy = [guest for guest in self._guests() if guest.merges]
            for guest in busy:
                for merge in guest.merges:
                    self._look_safely(guest, merge)
            self._wake.wait(_LOOK_SECONDS if busy else None)

    def _look_safely(self, guest: VmGuest, merge: Merge) -> None:
        try:
            self._look(guest, merge)
        except (HypervisorUnavailable, VmIsDown) as error:
            log.debug("A merge waits vm=%s job=%s reason=%s", guest.vm_id, merge.job_id, error)
        except Error as error:
            log.warning("A merge is looked at again vm=%s job=%s reason=%s", guest.vm_id, merge.job_id, error)
        except Exception:  # a thread top: other merges are other guests'
            log.exception("A merge was not understood vm=%s job=%s", guest.vm_id, merge.job_id)

    def _look(self, guest: VmGuest, merge: Merge) -> None:
        turns = self._hotplug.turns
        with turns.turn(guest.vm_id), told_as(NotMerged, name=guest.vm_id):
            ended = self._has_ended(guest, merge)
        if not ended:
            return
        self._hotplug.settle(guest)
        guest.look_again()
        with turns.turn(guest.vm_id):
            _forget(guest, merge)
        self._progress.pop(merge.job_id, None)

    def _has_ended(self, guest: VmGuest, merge: Merge) -> bool:
        """Well or badly."""
        chain = _chain(live_xml(guest), merge)
        if chain.position(merge.top.volume_id) is None:
            self._volumes.take_out(merge.top, merge.base_id)
            self._go_on(guest, merge)
            log.info("Volumes merged vm=%s top=%s base=%s", guest.vm_id, merge.top, merge.base_id)
            return True
        if chain.ready:
            self._go_on_below(guest, merge, chain.name)
            return True
        self._go_on(guest, merge)
        if info := guest.domain().blockJobInfo(chain.name, 0):
            self._progress[merge.job_id] = (int(info["cur"]), int(info["end"]))
            return False
        if _chain(live_xml(guest), merge) != chain:  # it has ended just now
            return False
        log.warning("A merge came to nothing vm=%s top=%s", guest.vm_id, merge.top)
        return True

    def _go_on_below(self, guest: VmGuest, merge: Merge, name: str) -> None:
        """Kept still, the guest writes nothing that only one of both volumes would have after a crash."""
        if not guest.is_paused():
            merge = _remember(guest, replace(merge, stands_still=True))
            guest.domain().suspend()
        try:
            guest.domain().blockJobAbort(name, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
            self._volumes.take_out(merge.top, merge.base_id)
        finally:
            self._go_on(guest, merge)
        log.info("Volumes merged vm=%s top=%s base=%s", guest.vm_id, merge.top, merge.base_id)

    def _go_on(self, guest: VmGuest, merge: Merge) -> None:
        if merge.stands_still:
            if guest.is_paused():
                guest.domain().resume()
            guest.vm.set_resumed()  # libvirt's event is not looked at while it stands still
            _remember(guest, replace(merge, stands_still=False))


def _remember(guest: VmGuest, merge: Merge) -> Merge:
    guest.merging(tuple(merge if each.job_id == merge.job_id else each for each in guest.merges))
    return merge


def _forget(guest: VmGuest, merge: Merge) -> None:
    guest.merging(tuple(each for each in guest.merges if each.job_id != merge.job_id))


def _chain(live: etree._Element, merge: Merge) -> _Chain:
    """Raises NoSuchDisk."""
    for disk in live.iterfind("devices/disk"):
        volumes = []
        layer: Any = disk
        while layer is not None and (source := layer.find("source")) is not None:
            parts = source.get("file", "").rsplit("/", 2)
            if len(parts) < 3 or parts[1] != merge.top.image_id:
                break
            volumes.append((parts[2], source.get("index", "") if layer is disk else layer.get("index", "")))
            layer = layer.find("backingStore")
        if volumes:
            ready = attribute_of(disk, "mirror", "ready") == "yes"
            return _Chain(name=attribute_of(disk, "target", "dev"), volumes=tuple(volumes), ready=ready)
    raise NoSuchDisk(volume=merge.top)
