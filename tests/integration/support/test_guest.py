# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The tiny guest boots under a real libvirtd, talks over the bridge, and obeys its power button."""

import urllib.request
from pathlib import Path

import pytest

from tests.support.guest import BOOTED, TinyGuest
from tests.support.libvirtd import Libvirtd
from tests.support.network import LinuxBridge
from tests.support.waiting import wait_until


@pytest.mark.qemu
def test_boot_page_and_power_button(
    libvirtd: Libvirtd, tiny_guest: TinyGuest, linux_bridge: LinuxBridge, open_dir: Path
) -> None:
    log, definition, address = open_dir / "serial.log", open_dir / "guest.xml", linux_bridge.guest_address(2)
    definition.write_text(tiny_guest.domain_xml("tiny", bridge=linux_bridge.name, address=f"{address}/24", log=log))
    libvirtd.virsh("create", str(definition))
    wait_until(lambda: log.exists() and BOOTED in log.read_text(), timeout_seconds=90, what="the guest's boot")
    with urllib.request.urlopen(f"http://{address}/", timeout=30) as page:
        assert page.read() == b"hello from a virtual machine\n"
    libvirtd.virsh("shutdown", "tiny")
    wait_until(lambda: "tiny" not in libvirtd.virsh("list", "--name").stdout.decode(), what="the guest's end")
