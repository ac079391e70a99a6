# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the agent keeps of one run: a view into the container while it is used, and what was opened through it."""

import contextlib
import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from covirt.common.errors import Error
from covirt.oci.inside import Inside, InsideTarget, InsideTimeout, InsideUnreachable
from covirt.virtocid.driver.agent.captured import Processes
from covirt.virtocid.driver.agent.errors import AgentUnresponsive, refused
from covirt.virtocid.driver.run import Run

log = logging.getLogger(__name__)

OpenInside = Callable[[InsideTarget], Inside]

MAX_HANDLES: Final = 64  # of one container; a client that forgets them cannot use up more
_MAX_WAITING: Final = 4  # commands of one container that wait for another one of it
_MAX_STARTING: Final = 4  # processes of one container, whose runtime it may keep waiting
_handle_numbers: Final = itertools.count(1000)  # never twice, so that none of an earlier run is taken for a new one


class GuestRun:
    """Thread-safe: one command at a time looks into the container."""

    def __init__(self, run: Run, cgroup_files: tuple[str, ...], open_inside: OpenInside) -> None:
        self.run = run
        self.handles: set[int] = set()
        self.processes = Processes()
        self._cgroup_files = cgroup_files
        self._open_inside = open_inside
        self._inside: Inside | None = None
        self._stuck: Inside | None = None  # one that was closed and does not end
        self._ended = False
        self._turn = threading.Lock()  # held while a command looks into the container
        self._waiting = threading.BoundedSemaphore(_MAX_WAITING)
        self._starting = threading.BoundedSemaphore(_MAX_STARTING)

    @contextlib.contextmanager
    def inside(self, *, seconds: float) -> Iterator[Inside]:
        """A view that lasts as long as there are handles. Raises AgentUnresponsive."""
        with self._my_turn(seconds):
            try:
                if self._inside is not None and self._inside.gone:  # nobody asked it anything for long
                    self._drop()
                if self._inside is None:
                    self._inside = self._opened()
                yield self._inside
            except (InsideTimeout, InsideUnreachable) as error:
                self._drop()
                raise self._unresponsive(str(error)) from error
            finally:
                if not self.handles:
                    self._drop()

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """While a process is started: a container that makes its runtime hang keeps few of our threads waiting.

        Raises AgentUnresponsive.
        """
        if not self._starting.acquire(blocking=False):
            raise self._unresponsive("is busy starting other processes")
        try:
            yield
        finally:
            self._starting.release()

    def require_handle(self, handle: int) -> None:
        if handle not in self.handles:
            raise refused(f"handle '{handle}' has not been found")

    def new_handle(self) -> int:
        if len(self.handles) >= MAX_HANDLES:
            raise refused(f"{MAX_HANDLES} files are open; close one first")
        return next(_handle_numbers)

    def end(self) -> None:
        """The run is over: whatever is under way is broken off."""
        self._ended = True
        inside = self._inside
        if inside is not None:
            inside.kill()
        self.processes.close()
        with self._turn:
            self._drop()

    @contextlib.contextmanager
    def _my_turn(self, seconds: float) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise self._unresponsive("has too many commands waiting")
        try:
            if not self._turn.acquire(timeout=seconds):
                raise self._unresponsive("is busy with another command")
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._waiting.release()

    def _opened(self) -> Inside:
        run = self.run
        if self._ended or run.container is None:
            raise self._unresponsive("has ended")
        if self._stuck is not None and not self._stuck.gone:  # one is enough: each is a process that nobody can end
            raise self._unresponsive("hangs: an earlier look into it has not ended yet")
        self._stuck = None
        return self._open_inside(
            InsideTarget(
                container=run.container_id,
                process=run.container,
                capabilities=_capabilities(run),
                cgroup_files=self._cgroup_files,
            )
        )

    def _drop(self) -> None:
        self.handles.clear()
        inside, self._inside = self._inside, None
        if inside is not None:
            inside.close()
            if not inside.gone:
                self._stuck = inside

    def _unresponsive(self, reason: str) -> AgentUnresponsive:
        return AgentUnresponsive(name=self.run.config.name, reason=reason)


def _capabilities(run: Run) -> tuple[str, ...]:
    """Those that the container's first process has at most."""
    process = container_process(run)
    bounding = process.get("capabilities", {}).get("bounding", ())
    return tuple(name for name in bounding if isinstance(name, str))


def container_process(run: Run) -> dict[str, Any]:
    """The ``process`` of its config.json; empty when that cannot be read."""
    try:
        process: dict[str, Any] = json.loads((run.bundle / "config.json").read_bytes())["process"]
    except (OSError, ValueError, KeyError, Error) as error:
        log.warning("The configuration of a run cannot be read container=%s: %s", run.container_id, error)
        return {}
    return process
