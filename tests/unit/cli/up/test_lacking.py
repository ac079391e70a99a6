# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What covirt up tells of a machine that has not all programs."""

import platform
from pathlib import Path

import pytest

from covirt.cli.up.lacking import lacking


def test_what_is_not_there_is_told_with_what_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the packages of containers alone everything was said to be up."""
    monkeypatch.setenv("PATH", str(tmp_path))
    machines, disks, addresses, way_out = lacking()
    assert machines.startswith(
        f"no virtual machine can run here, for want of libvirtd and qemu-system-{platform.machine()}: "
    )
    assert "apt-get install libvirt-daemon-system qemu-system-" in machines
    assert disks.startswith("no disk can be made here, for want of qemu-img: apt-get install qemu-utils")
    assert addresses.endswith("apt-get install dnsmasq-base, and covirt up again")
    assert "for want of nft: " in way_out
    for program in ("libvirtd", "qemu-img", "nft", "dnsmasq"):
        (tmp_path / program).touch(mode=0o755)
    [machines] = lacking()
    assert f"for want of qemu-system-{platform.machine()}: " in machines
    (tmp_path / f"qemu-system-{platform.machine()}").touch(mode=0o755)
    assert not list(lacking())
