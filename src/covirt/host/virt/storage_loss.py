# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A storage domain goes away and comes back: what becomes of the guests on it (docs/adr/0026-storage-loss.md).

A virtual machine is paused by its QEMU at its first error, and by nobody else: before QEMU pauses one for us it waits
for the very disks that do not answer. A container is paused by us, for its own file systems know no pause.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from covirt.common.errors import Error
from covirt.common.files import make_directory, usable_id_path, write_atomic
from covirt.common.workers import WorkerPool
from covirt.host.virt.volumes import VolumeRef

log = logging.getLogger(__name__)

# Pausing a container whose processes hang in their disks may take its whole time; the others shall not wait for it.
_WORKERS: Final = 8
_STOP_SECONDS: Final = 10.0
_TRIES: Final = 3
_TRY_SECONDS: Final = 5.0
# As Vdsm: eight times the time that sanlock gives an I/O. After that, somebody else may hold what the guest held.
_LONG_PAUSE_SECONDS: Final = 80.0
_LOOK_SECONDS: Final = 20.0


class ResumeBehavior(StrEnum):
    """What an engine wants when storage is back (ovirt-vm:resumeBehavior)."""

    AUTO_RESUME = "auto_resume"
    LEAVE_PAUSED = "leave_paused"
    KILL = "kill"  # when its pause was long; otherwise it goes on


class StoredGuest(Protocol):
    """A running guest on storage. The calls raise covirt's errors."""

    @property
    def vm_id(self) -> str: ...

    @property
    def is_container(self) -> bool: ...

    @property
    def volumes(self) -> tuple[VolumeRef, ...]: ...

    @property
    def resume_behavior(self) -> str: ...

    def is_paused(self) -> bool: ...

    def is_paused_by_error(self) -> bool:
        """Whether its hypervisor paused it at an error of a disk."""
        ...

    @property
    def lacks_space(self) -> bool:
        """Whether that error was that its disk cannot grow."""
        ...

    def paused_seconds(self) -> float:
        """How long this agent has seen it paused; 0 for one that is not."""
        ...

    def pause_for_storage(self) -> None: ...

    def resume(self) -> None: ...

    def kill_after_pause(self) -> None:
        """End it, with the reason that its pause was too long."""
        ...


class StorageLoss:
    """Told of every domain's health by the storage monitor; thread-safe, and never waits for a guest.

    Whom it has paused is on record in ``directory``, one file each, so that it resumes no one that a user paused.
    """

    def __init__(self, guests: Callable[[], Iterable[StoredGuest]], directory: Path) -> None:
        self._guests = guests
        self._directory = directory
        self._lock = threading.Lock()
        self._lost: set[str] = set()
        self._known: set[str] = set()  # domains that were told of
        self._busy: set[str] = set()
        self._looked_at: set[str] = set()  # by end_long_pauses()
        self._stopping = threading.Event()
        self._workers = WorkerPool(workers=_WORKERS, priority_workers=0, name="storage-loss")
        self._looker = threading.Thread(target=self._look_now_and_then, name="long-pauses", daemon=True)

    def start(self) -> None:
        make_directory(self._directory)
        self._workers.fill()
        self._looker.start()

    def stop(self) -> None:
        self._stopping.set()
        self._looker.join(_STOP_SECONDS)
        self._workers.stop(timeout_seconds=_STOP_SECONDS)

    def domain_health(self, domain_id: str, ok: bool) -> None:  # noqa: FBT001 - the storage monitor's listener
        """Told at each change, and for each domain once after the agent's start."""
        with self._lock:
            self._known.add(domain_id)
            if ok:
                self._lost.discard(domain_id)
            else:
                self._lost.add(domain_id)
        log.debug("A storage domain's health domain=%s ok=%s", domain_id, ok)  # the monitor has told people
        for guest in self._guests():
            if any(ref.domain_id == domain_id for ref in guest.volumes):
                self._submit(guest)

    def look_again(self) -> None:
        """Guests came that nobody knew of when their domains were told of: an agent has started, or a libvirt."""
        for guest in self._guests():
            domains = {ref.domain_id for ref in guest.volumes}
            with self._lock:
                known = bool(domains) and domains <= self._known
            if known:
                self._submit(guest)

    def forget(self, vm_id: str) -> None:
        """It was destroyed, or somebody else has decided whether it is paused: from now on it is not paused by us."""
        self._mark(vm_id).unlink(missing_ok=True)

    def end_long_pauses(self) -> None:
        """End those who are to be ended after a long pause, wherever their storage is: who waits to run them
        elsewhere waits for that. One that cannot be ended is tried again by the next call."""
        for guest in self._guests():
            if guest.resume_behavior != ResumeBehavior.KILL or guest.paused_seconds() <= _LONG_PAUSE_SECONDS:
                continue
            with self._lock:
                if guest.vm_id in self._looked_at:
                    continue
                self._looked_at.add(guest.vm_id)
            self._workers.submit(partial(self._end_long_pause, guest), priority=False)

    def _look_now_and_then(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            self.end_long_pauses()

    def _end_long_pause(self, guest: StoredGuest) -> None:
        try:
            ours = self._mark(guest.vm_id).exists() and guest.is_paused()
            if ours or (guest.is_paused_by_error() and not guest.lacks_space):
                log.warning("A guest is ended after a long pause for its storage vm=%s", guest.vm_id)
                guest.kill_after_pause()
        except Error as error:
            log.warning("A guest could not be ended after its pause vm=%s reason=%s", guest.vm_id, error)
        finally:
            with self._lock:
                self._looked_at.discard(guest.vm_id)

    def _submit(self, guest: StoredGuest) -> None:
        with self._lock:
            if guest.vm_id in self._busy:
                return  # who is busy with it looks again before it leaves
            self._busy.add(guest.vm_id)
        if not self._workers.submit(lambda: self._work(guest), priority=False):
            self._busy.discard(guest.vm_id)

    def _work(self, guest: StoredGuest) -> None:
        """Until what was done is right for what is known, or cannot be done."""
        failures = 0
        while True:
            lost = self._has_lost(guest)
            try:
                self._follow(guest, lost=lost)
                done = True
            except Error as error:
                log.warning("A guest could not follow its storage vm=%s lost=%s reason=%s", guest.vm_id, lost, error)
                failures += 1
                done = failures >= _TRIES or self._stopping.wait(_TRY_SECONDS)
            with self._lock:
                if done and any(ref.domain_id in self._lost for ref in guest.volumes) == lost:
                    self._busy.discard(guest.vm_id)
                    return

    def _has_lost(self, guest: StoredGuest) -> bool:
        with self._lock:
            return any(ref.domain_id in self._lost for ref in guest.volumes)

    def _follow(self, guest: StoredGuest, *, lost: bool) -> None:
        mark = self._mark(guest.vm_id)
        if lost:
            if guest.is_container and not guest.is_paused():
                log.warning("A guest whose storage is away is paused vm=%s", guest.vm_id)
                write_atomic(mark, b"", durable=False)
                guest.pause_for_storage()
            return
        ours = mark.exists()
        if ours or guest.is_paused_by_error():
            self._bring_back(guest)
        mark.unlink(missing_ok=True)

    @staticmethod
    def _bring_back(guest: StoredGuest) -> None:
        if not guest.is_paused() or guest.resume_behavior == ResumeBehavior.LEAVE_PAUSED:
            return
        paused_seconds = guest.paused_seconds()
        if guest.resume_behavior == ResumeBehavior.KILL and paused_seconds > _LONG_PAUSE_SECONDS:
            log.info("A guest whose storage is back is ended vm=%s paused_seconds=%.0f", guest.vm_id, paused_seconds)
            guest.kill_after_pause()
        else:
            log.info("A guest whose storage is back goes on vm=%s paused_seconds=%.0f", guest.vm_id, paused_seconds)
            guest.resume()

    def _mark(self, vm_id: str) -> Path:
        assert usable_id_path(vm_id)  # noqa: S101 - a Vm's id is a UUID since it was created
        return self._directory / vm_id
