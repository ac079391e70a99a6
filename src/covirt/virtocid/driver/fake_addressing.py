# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses for tests: it remembers which interfaces ask, and starts no program."""

from collections.abc import Iterable

from covirt.virtocid.driver.leases import dhcp_interfaces
from covirt.virtocid.driver.run import Run


class FakeAddressing:
    """``asking``: host ends of interfaces by container; ``released``: containers whose leases were given back."""

    def __init__(self) -> None:
        self.asking: dict[str, list[str]] = {}
        self.released: list[str] = []

    def start(self) -> None:
        """It needs no thread."""

    def close(self) -> None:
        """It has none."""

    def begin(self, run: Run) -> None:
        self.asking[run.container_id] = [interface.target or "" for _, interface in dhcp_interfaces(run)]

    def adopt(self, runs: Iterable[Run]) -> None:
        for run in runs:
            self.begin(run)

    def attach(self, run: Run, number: int) -> None:
        interface = run.config.interfaces[number]
        if run.config.asks_dhcp(interface):
            self.asking.setdefault(run.container_id, []).append(interface.target or "")

    def detach(self, run: Run, name: str) -> None:
        asking = self.asking.get(run.container_id, [])
        if name in asking:
            asking.remove(name)

    def moved(self, run: Run) -> None:
        """A fake bridge has no server."""

    def release(self, run: Run) -> None:
        if self.asking.pop(run.container_id, None):
            self.released.append(run.container_id)

    def forget(self, run: Run) -> None:
        """Nothing to wait for."""
