# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Debian's virsh with a bare URI, and what the demo reads out of its answers."""

import re
from pathlib import Path
from typing import Final

from covirt.common.process import run

OCI: Final = "oci:///system"
QEMU: Final = "qemu:///system"
_SECONDS: Final = 60.0


def command(uri: str, *words: str) -> list[str]:
    return ["virsh", "-c", uri, *words]


def virsh(uri: str, *words: str) -> str:
    """What it printed. Raises CommandFailed."""
    return run(command(uri, *words), timeout_seconds=_SECONDS).stdout.decode()


def define(uri: str, kind: str, xml: str, directory: Path) -> None:
    """``kind`` is virsh's command: define, or net-define."""
    path = directory / "given.xml"
    path.write_text(xml)
    virsh(uri, kind, str(path))
    path.unlink()


def domain_stats(uri: str, name: str) -> dict[str, str]:
    """``{"cpu.time": "123", …}``; a key that the host cannot know is absent."""
    lines = virsh(uri, "domstats", "--raw", name).splitlines()
    return dict(line.strip().split("=", 1) for line in lines if "=" in line)


def state(uri: str, name: str) -> str:
    """``running (booted)``."""
    return virsh(uri, "domstate", name, "--reason").strip()


def domain_id(uri: str, name: str) -> str:
    return virsh(uri, "domid", name).strip()


def address(uri: str, name: str) -> str:
    """The first IPv4 address that domifaddr tells, or "-"."""
    found = re.search(r"ipv4\s+([0-9.]+)", virsh(uri, "domifaddr", name))
    return found[1] if found else "-"


def hypervisor(uri: str) -> str:
    """``QEMU 7.2.0``."""
    found = re.search(r"Running hypervisor: (.+)", virsh(uri, "version"))
    return found[1] if found else "-"
