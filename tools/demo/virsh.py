# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Debian's virsh with a bare URI."""

from typing import Final

from covirt.common.process import run

OCI: Final = "oci:///system"
QEMU: Final = "qemu:///system"
_SECONDS: Final = 120.0  # the first call to a libvirtd asks QEMU what it can do


def command(uri: str, *words: str) -> list[str]:
    return ["virsh", "-c", uri, *words]


def virsh(uri: str, *words: str) -> str:
    """What it printed. Raises CommandFailed."""
    return run(command(uri, *words), timeout_seconds=_SECONDS).stdout.decode()
