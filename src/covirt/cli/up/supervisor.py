# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What keeps the daemons running: ``python -m covirt.cli.up.supervisor ROOT``.

It starts what does not run and starts again what has ended, a little later each time. Itself it holds nothing:
killed, it leaves the daemons alone, and the next one finds them by their records. Ending them is ``covirt down``'s.
"""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from covirt.cli.up.daemons import SUPERVISOR, Daemon, daemons, write_libvirt_settings
from covirt.cli.up.installation import Choices, Installation, open_log
from covirt.cli.up.network import open_way_out
from covirt.cli.up.records import launched, write_own_record
from covirt.common import log as logs
from covirt.common.daemon_lock import acquire_daemon_lock
from covirt.common.errors import Error
from covirt.common.exit_status import exit_status
from covirt.common.process import Child, spawn
from covirt.common.stop_signals import StopSignals

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
_FIRST_DELAY_SECONDS: Final = 0.5
_LONGEST_DELAY_SECONDS: Final = 30.0
_SETTLE_SECONDS: Final = 5.0
_STEADY_SECONDS: Final = 30.0  # whoever ran so long has not failed at its start


@dataclass(slots=True)
class _Care:
    """One daemon's."""

    daemon: Daemon
    child: Child | None = None
    started_at: float = 0.0
    not_before: float = 0.0
    delay_seconds: float = field(default=_FIRST_DELAY_SECONDS)


class Supervisor:
    """Looks after the daemons, each time it is asked to."""

    def __init__(
        self, installation: Installation, wanted: Sequence[Daemon], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._installation = installation
        self._records = installation.records
        self._cares = [_Care(daemon) for daemon in wanted]
        self._clock = clock

    def look(self) -> None:
        """Start what is to run and does not."""
        for care in self._cares:
            self._reap(care)
            runs = self._records.find(care.daemon.name) is not None
            if runs and not care.daemon.may_run():
                log.info("Ending what lacks its place now daemon=%s", care.daemon.name)
                self._records.end(care.daemon.name, grace_seconds=care.daemon.grace_seconds)
            elif not runs and self._clock() >= care.not_before:
                self._start(care)

    def settle(self) -> None:
        """Return once whatever it has started is on record, so that somebody else can end it."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        for care in self._cares:
            while self.has_started(care.daemon.name) and self._records.find(care.daemon.name) is None:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.01)

    def has_started(self, name: str) -> bool:
        """Whether one that it has started itself runs."""
        return any(
            care.child is not None and care.child.poll() is None for care in self._cares if care.daemon.name == name
        )

    def _start(self, care: _Care) -> None:
        if care.child is not None or not care.daemon.may_run() or care.daemon.of_others():
            return
        name, now = care.daemon.name, self._clock()
        # Longer each time it has not lasted.
        lasted = care.started_at == 0.0 or now - care.started_at >= _STEADY_SECONDS
        care.delay_seconds = _FIRST_DELAY_SECONDS if lasted else min(2 * care.delay_seconds, _LONGEST_DELAY_SECONDS)
        care.started_at, care.not_before = now, now + care.delay_seconds
        with open_log(self._installation, name) as stream:
            argv = launched(self._records.path(name), care.daemon.argv, python=sys.executable)
            care.child = spawn(argv, stdout=stream, stderr=stream, own_session=True)
        log.info("Started daemon=%s pid=%d", name, care.child.pid)

    def _reap(self, care: _Care) -> None:
        if care.child is None or (status := care.child.poll()) is None:
            return
        log.warning("Ended daemon=%s pid=%d status=%d", care.daemon.name, care.child.pid, status)
        care.child = None


def main() -> None:
    """The program."""
    sys.exit(exit_status("covirt up", _work))


def _work() -> None:
    installation = Installation.at(sys.argv[1])
    logs.configure("info")
    stop = StopSignals()
    with acquire_daemon_lock(installation.root, "covirt-up"):
        write_own_record(installation.records.path(SUPERVISOR))
        log.info("Looking after the daemons root=%s", installation.root.path)
        write_libvirt_settings(installation)
        _open_way_out(installation)
        supervisor = Supervisor(installation, _wanted(installation))
        while not stop.wait(timeout_seconds=_LOOK_SECONDS):
            supervisor.look()
        supervisor.settle()
        log.info("Leaving the daemons alone")


def _open_way_out(installation: Installation) -> None:
    """After a reboot nobody else does."""
    choices = installation.choices() or Choices()
    try:
        if choices.subnet:
            open_way_out(installation, choices.subnet)
    except (Error, OSError) as error:
        log.warning("Guests do not reach the world outside reason=%s", error)


def _wanted(installation: Installation) -> list[Daemon]:
    """Those that systemd does not run."""
    return [daemon for daemon in daemons(installation, installation.choices() or Choices()) if not daemon.unit]


if __name__ == "__main__":
    main()
