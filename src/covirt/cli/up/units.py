# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where systemd is PID 1: the packages' units run the daemons, and one of ours the supervisor, over reboots too."""

import sys
from dataclasses import dataclass
from typing import Final, Self

from covirt.cli.up.daemons import Daemon
from covirt.cli.up.installation import Choices, Installation
from covirt.cli.up.systemd import UNITS, Systemd
from covirt.common.files import write_atomic

_SUPERVISOR: Final = """\
# Written by covirt up, and removed by covirt down.
[Unit]
Description=What covirt up started and no other unit runs
After=network-online.target

[Service]
ExecStart={python} -m covirt.cli.up.supervisor {root}
Restart=always
RestartSec=1
# What it looks after goes on without it, as everywhere.
KillMode=process
LimitNOFILE=65536
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Those of one installation."""

    installation: Installation
    systemd: Systemd

    @classmethod
    def of(cls, installation: Installation) -> Self | None:
        """None where there is no systemd."""
        systemd = Systemd.here()
        return cls(installation=installation, systemd=systemd) if systemd is not None else None

    @property
    def _supervisor(self) -> str:
        return f"covirt-up-{self.installation.root.id}.service"

    def start_supervisor(self) -> None:
        path = UNITS / self._supervisor
        text = _SUPERVISOR.format(python=sys.executable, root=self.installation.root.path)
        if not path.exists() or path.read_text() != text:
            write_atomic(path, text.encode(), mode=0o644)
            self.systemd.reload()
        self.systemd.enable(self._supervisor)

    def stop_supervisor(self) -> None:
        path = UNITS / self._supervisor
        if path.exists():
            self.systemd.disable(self._supervisor)
            path.unlink()
            self.systemd.reload()

    def start(self, choices: Choices, daemons: tuple[Daemon, ...]) -> Choices:
        """Start what does not run and may; the choices, with what is ours to stop now."""
        for daemon in daemons:
            if not daemon.unit or self.systemd.active(daemon.unit) or daemon.answers():
                continue
            if not daemon.may_run():
                continue
            if daemon.unit not in choices.units:
                choices = choices.with_unit(daemon.unit)
                self.installation.keep(choices)  # before it is done: a kill in between costs nothing
            self.systemd.enable(daemon.unit)
        return choices

    def stop(self, choices: Choices) -> list[str]:
        """Stop what start() has started; their names."""
        for unit in reversed(choices.units):
            self.systemd.disable(unit)
        self.installation.keep(choices.without_units())
        return [unit.removesuffix(".service") for unit in reversed(choices.units)]
