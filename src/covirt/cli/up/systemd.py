# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""systemctl: a function for each subcommand that is used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from covirt.cli.up.errors import UnitNotStarted
from covirt.common.errors import CommandFailed
from covirt.common.process import run

UNITS: Final = Path("/etc/systemd/system")
_RUNS: Final = Path("/run/systemd/system")  # sd_booted(3)
_SECONDS: Final = 180.0  # a unit may take its time to start


@dataclass(frozen=True, slots=True)
class Systemd:
    """The service manager of this machine."""

    @classmethod
    def here(cls) -> Self | None:
        """None where PID 1 is something else."""
        return cls() if _RUNS.is_dir() else None

    def loaded(self, unit: str) -> bool:
        """Whether there is such a unit."""
        return self._property(unit, "LoadState") == "loaded"

    def active(self, unit: str) -> bool:
        """Or about to be."""
        return self._property(unit, "ActiveState") in ("active", "activating", "reloading")

    def pid(self, unit: str) -> int:
        """0 when it does not run."""
        return int(self._property(unit, "MainPID") or 0)

    def enable(self, unit: str) -> None:
        """Now and at each boot. Raises UnitNotStarted."""
        try:
            run(["systemctl", "enable", "--quiet", "--now", unit], timeout_seconds=_SECONDS)
        except CommandFailed as error:
            raise UnitNotStarted(unit=unit) from error

    def disable(self, unit: str) -> None:
        run(["systemctl", "disable", "--quiet", "--now", unit], timeout_seconds=_SECONDS)

    def reload(self) -> None:
        run(["systemctl", "daemon-reload"], timeout_seconds=_SECONDS)

    def _property(self, unit: str, name: str) -> str:
        argv = ["systemctl", "show", "--property", name, "--value", unit]
        return run(argv, timeout_seconds=_SECONDS).stdout.decode().strip()
