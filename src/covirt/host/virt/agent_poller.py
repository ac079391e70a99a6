# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Asks the agents of all guests, again and again, so that statistics wait for none.

A guest whose agent hangs takes a worker for some seconds; those that hang at once are no more than there are workers,
and nobody waits for them but each other. Each kind has workers of its own: one libvirt that hangs may hold all of
them.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from covirt.common.errors import Error
from covirt.common.workers import WorkerPool
from covirt.host.virt.guest import Guest
from covirt.host.virt.guest_agent import ask
from covirt.host.virt.kinds import Kind
from covirt.hostapi.json import JsonValue

log = logging.getLogger(__name__)

_WORKERS: Final = 4  # of each kind
_STOP_SECONDS: Final = 20.0


def _nothing() -> Mapping[str, JsonValue]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Seconds from one question to the next. One who has not answered yet is asked often while it is young: an
    engine waits for addresses."""

    look: float = 2.0
    answered: float = 15.0
    silent: float = 30.0
    young: float = 2.0
    youth: float = 60.0


@dataclass(slots=True)
class _Known:
    since: float
    due: float
    facts: Mapping[str, JsonValue] = field(default_factory=_nothing)
    asked: bool = False  # and not answered yet


class AgentPoller:
    """``guests``: those that run. ``on_answer``: told of each guest whose agent speaks, by its id."""

    def __init__(
        self,
        guests: Callable[[], Iterable[Guest]],
        *,
        on_answer: Callable[[str], object] = lambda _vm_id: None,
        periods: Periods = Periods(),
    ) -> None:
        self._guests = guests
        self._on_answer = on_answer
        self._periods = periods
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._stopping = threading.Event()
        self._workers = {
            kind: WorkerPool(workers=_WORKERS, priority_workers=0, name=f"agent-{kind.name.lower()}") for kind in Kind
        }
        self._thread = threading.Thread(target=self._run, name="agent-poller", daemon=True)

    def start(self) -> None:
        for workers in self._workers.values():
            workers.fill()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)
        deadline = time.monotonic() + _STOP_SECONDS
        for workers in self._workers.values():
            workers.stop(timeout_seconds=max(0.0, deadline - time.monotonic()))

    def facts(self, vm_id: str) -> Mapping[str, JsonValue]:
        """What was last heard, in the words of VmStats; empty for one that never answered."""
        with self._lock:
            known = self._known.get(vm_id)
            return known.facts if known else _nothing()

    def _run(self) -> None:
        while not self._stopping.wait(self._periods.look):
            try:
                self._look()
            except Exception:  # the top of a thread: there is a next time
                log.exception("Guests could not be asked")

    def _look(self) -> None:
        now = time.monotonic()
        guests = {guest.vm_id: guest for guest in self._guests()}
        with self._lock:
            for vm_id in self._known.keys() - guests.keys():
                del self._known[vm_id]
            due = [guest for vm_id, guest in guests.items() if self._is_due(vm_id, now)]
        for guest in due:
            kind = Kind.CONTAINER if guest.is_container else Kind.MACHINE
            self._workers[kind].submit(lambda guest=guest: self._ask(guest), priority=False)  # type: ignore[misc]

    def _is_due(self, vm_id: str, now: float) -> bool:
        known = self._known.setdefault(vm_id, _Known(since=now, due=now))
        if known.asked or known.due > now:
            return False
        known.asked = True
        return True

    def _ask(self, guest: Guest) -> None:
        facts: Mapping[str, JsonValue] | None = None
        try:
            if not self._stopping.is_set():
                facts = MappingProxyType(ask(guest))
        except Error as error:
            log.debug("No answer of an agent vm=%s reason=%s", guest.vm_id, error)
        finally:
            self._note(guest.vm_id, facts)
        if facts is not None:
            self._on_answer(guest.vm_id)

    def _note(self, vm_id: str, facts: Mapping[str, JsonValue] | None) -> None:
        now = time.monotonic()
        with self._lock:
            known = self._known.get(vm_id)
            if known is None:
                return
            known.asked = False
            if facts is not None:
                known.facts, wait = facts, self._periods.answered
            elif now - known.since < self._periods.youth:
                wait = self._periods.young
            else:
                wait = self._periods.silent
            known.due = now + wait
