# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the machine lacks, and what is not there for that: covirt up starts what it finds the programs for."""

import shutil
from collections.abc import Iterator

from covirt.cli.up.daemons import LIBVIRTD
from covirt.common.qemu_system import qemu_system


def lacking() -> Iterator[str]:
    """Sentences, each with the command that mends it."""
    qemu, qemu_package = qemu_system()
    for programs, lost, packages in (
        (
            (LIBVIRTD, qemu),
            "no virtual machine can run here",
            f"libvirt-daemon-system {qemu_package}",
        ),
        (("qemu-img",), "no disk can be made here", "qemu-utils"),
        (("dnsmasq",), "guests are given no addresses", "dnsmasq-base"),
        (("nft",), "guests do not reach out of this machine", "nftables"),
    ):
        if absent := [program for program in programs if shutil.which(program) is None]:
            yield f"{lost}, for want of {' and '.join(absent)}: apt-get install {packages}, and covirt up again"
