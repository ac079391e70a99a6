# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The installed daemon, asked by its public names, and what it may leave on the machine."""

import signal
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from covirt.common.process import Child, run
from covirt.common.root import Root
from tests.support.virtocid import SECONDS, Virtocid
from tests.support.waiting import wait_until

only_v2 = pytest.mark.skipif(
    not Path("/sys/fs/cgroup/cgroup.controllers").exists(), reason="cgroup version 2 only: the files have its names"
)


def output(*argv: str, check: bool = True) -> str:
    """What a program prints."""
    return run(argv, timeout_seconds=SECONDS, check=check).stdout.decode().strip()


def systemctl(*words: str) -> str:
    return output("systemctl", *words)


def unit_property(unit: str, name: str) -> str:
    return systemctl("show", "--value", f"--property={name}", unit)


class InstalledVirtocid(Virtocid):
    """At the real root, under systemd."""

    def __init__(self) -> None:
        super().__init__(Root("/"))

    @property
    def uri(self) -> str:
        return "oci:///system"

    @property
    def readonly_uri(self) -> str:
        return "oci:///system"

    @property
    def log(self) -> str:
        return self.journal()

    @property
    def pid(self) -> int:
        return int(unit_property("virtocid", "MainPID"))

    @property
    def running(self) -> bool:
        return unit_property("virtocid", "ActiveState") == "active"

    def start(self) -> None:
        systemctl("start", "virtocid")

    def launch(self) -> Child:
        raise NotImplementedError("systemd starts it")

    def restart(self) -> None:
        systemctl("restart", "virtocid")

    def kill(self) -> None:
        """kill -9, and systemd's own restart."""
        before = self.pid
        output("kill", f"-{signal.SIGKILL.value}", str(before))
        # In this order: systemd may not have heard of the end yet, and what is read first is then old.
        wait_until(lambda: self.pid not in (0, before) and self.running, timeout_seconds=SECONDS, what="its restart")

    def journal_cursor(self) -> str:
        return output("journalctl", "--quiet", "-n0", "--show-cursor").removeprefix("-- cursor: ")

    def journal(self, since: str = "") -> str:
        words = [f"--after-cursor={since}"] if since else []
        return output("journalctl", "--quiet", "--unit=virtocid", "--output=cat", *words)

    def scope(self, name: str, *, run_number: int = 1) -> str:
        """The scope of a domain's run."""
        return f"covirt-{self.root.id}-{self.tell('domuuid', name)}-{run_number}.scope"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What a container has on its host while it runs."""

    scopes: frozenset[str]
    cgroups: frozenset[str]
    mounts: frozenset[str]
    loop_devices: frozenset[str]
    links: frozenset[str]
    filter_entries: frozenset[str]
    machines: frozenset[str]
    processes: frozenset[str]

    @classmethod
    def now(cls) -> "Leftovers":
        def lines(*argv: str) -> frozenset[str]:
            return frozenset(output(*argv, check=False).splitlines())

        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        links = Path("/sys/class/net").iterdir()
        return cls(
            scopes=lines("systemctl", "list-units", "--all", "--plain", "--no-legend", "covirt-*.scope"),
            cgroups=frozenset(str(path) for path in Path("/sys/fs/cgroup").glob("**/covirt-*")),
            mounts=frozenset(line.split()[4] for line in mounts if "covirt" in line),
            loop_devices=frozenset(
                line
                for line in lines("losetup", "--noheadings", "--output=NAME,BACK-FILE")
                if " /var/lib/covirt/" in line
            ),
            links=frozenset(path.name for path in links),
            filter_entries=frozenset(
                line for line in lines("nft", "list", "ruleset") if "veth" in line or "cv" in line
            ),
            # Its columns are as wide as their longest word, so one machine's line changes with the others.
            machines=frozenset(line.split()[0] for line in lines("machinectl", "list", "--no-legend") if line),
            processes=frozenset(line for line in lines("ps", "-eo", "comm=,args=") if line.startswith("conmon")),
        )

    def expect_nothing_new(self) -> None:
        def new() -> dict[str, frozenset[str]]:
            after = Leftovers.now()
            names = [field.name for field in fields(self)]
            return {name: more for name in names if (more := getattr(after, name) - getattr(self, name))}

        try:
            wait_until(lambda: not new(), timeout_seconds=20)
        except AssertionError:
            raise AssertionError(f"left on the machine: {new()}") from None
