# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A whole installation by ``covirt up``, on a root of its own."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ovirtsdk4

from covirt.cli.up.installation import NETWORK
from covirt.common.process import Argument, Child, Completed, run, spawn
from covirt.common.root import Root
from tests.support import cgroups
from tests.support.roots import new_root
from tests.support.waiting import free_port

_PROGRAM: Final = Path(sys.executable).parent / "covirt"
_SECONDS: Final = 110.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Ports of its own, so that tests beside each other do not meet."""

    root: Root
    port: int
    host_port: int

    @property
    def _up(self) -> list[Argument]:
        return [
            _PROGRAM,
            "up",
            "--root",
            str(self.root.path),
            "--port",
            str(self.port),
            "--host-port",
            str(self.host_port),
        ]

    def up(self, *, check: bool = True) -> Completed:
        completed = run(self._up, timeout_seconds=_SECONDS, check=False)
        if check:
            assert completed.status == 0, f"{completed.stderr.decode()}\n{self.logs}"
        return completed

    def begin_up(self) -> Child:
        """Without a wait."""
        return spawn(self._up)

    def down(self, *options: str) -> str:
        """What it tells."""
        argv: list[Argument] = [_PROGRAM, "down", "--root", str(self.root.path), *options]
        return run(argv, timeout_seconds=_SECONDS).stdout.decode()

    @property
    def status(self) -> dict[str, Any]:
        argv: list[Argument] = [_PROGRAM, "status", "--root", str(self.root.path), "--output", "json"]
        told: dict[str, Any] = json.loads(run(argv, timeout_seconds=_SECONDS, check=False).stdout)
        return told

    @property
    def pids(self) -> dict[str, int]:
        """Of what it has started."""
        return {name: state["pid"] for name, state in self.status["daemons"].items() if "pid" in state}

    @property
    def logs(self) -> str:
        files = sorted((self.root.path / "var/log/covirt").glob("*.log"))
        return "\n".join(f"{file.name}:\n{file.read_text(errors='replace')[-3000:]}" for file in files)

    @contextmanager
    def connection(self) -> Iterator[ovirtsdk4.Connection]:
        """With nothing but what ``covirt status`` tells."""
        status = self.status
        password = Path(status["password_file"]).read_text().strip()
        words = {"url": status["url"], "username": status["user"], "ca_file": status["ca_file"]}
        with ovirtsdk4.Connection(**words, password=password) as connection:
            yield connection


@contextmanager
def new_machine() -> Iterator[Machine]:
    """Not up yet; taken down and forgotten in the end."""
    with new_root() as root:
        machine = Machine(root=root, port=free_port(), host_port=free_port())
        try:
            yield machine
        finally:
            machine.down()
            sys.stdout.write(machine.logs)
            run(["ip", "link", "delete", NETWORK], timeout_seconds=10, check=False)
            if (root.state_dir / "root-id").exists():
                for slice_group in cgroups.CGROUP_MOUNT.glob(f"**/covirt-{root.id}"):
                    cgroups.remove_group(slice_group)
