# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the machine lacks, and what is not there for that: covirt up starts what it finds the programs for."""

import platform
import shutil
from collections.abc import Iterator
from typing import Final

from covirt.cli.up.daemons import LIBVIRTD

_QEMU: Final = {"x86_64": "qemu-system-x86", "aarch64": "qemu-system-arm"}


def lacking() -> Iterator[str]:
    """Sentences, each with the command that mends it."""
    machine = platform.machine()
    for programs, lost, packages in (
        (
            (LIBVIRTD, f"qemu-system-{machine}"),
            "no virtual machine can run here",
            f"libvirt-daemon-system {_QEMU.get(machine, 'qemu-system')}",
        ),
        (("qemu-img",), "no disk can be made here", "qemu-utils"),
        (("dnsmasq",), "guests are given no addresses", "dnsmasq-base"),
        (("nft",), "guests do not reach out of this machine", "nftables"),
    ):
        if absent := [program for program in programs if shutil.which(program) is None]:
            yield f"{lost}, for want of {' and '.join(absent)}: apt-get install {packages}, and covirt up again"
