# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Debian's virsh with a bare URI, and what the demo reads out of its answers."""

import re
from pathlib import Path
from typing import Final

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.common.process import run

OCI: Final = "oci:///system"
QEMU: Final = "qemu:///system"
_SECONDS: Final = 120.0  # the first call to a libvirtd asks QEMU what it can do


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


def emulator() -> str:
    """What runs virtual machines, as in ``QEMU 7.2.0``."""
    found = re.search(r"Running hypervisor: (.+)", virsh(QEMU, "version"))
    return found[1] if found else "-"


def runtime(name: str) -> str:
    """What runs the container, as in ``runc 1.1.5``: its XML names the runtime, the capabilities its version."""
    words = {"c": COVIRT_NAMESPACE}
    chosen = _xml("dumpxml", name).findtext(".//c:runtime", "-", words)
    for one in _xml("capabilities").iterfind(".//c:runtime", words):
        if one.get("name") == chosen:
            return f"{chosen} {one.get('version', '')}".strip()
    return chosen


def _xml(*arguments: str) -> etree._Element:
    return etree.fromstring(virsh(OCI, *arguments), etree.XMLParser(resolve_entities=False, no_network=True))
