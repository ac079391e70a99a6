# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""QEMU for guests of the architecture that this machine has."""

import platform
from typing import Final

_PACKAGES: Final = {"x86_64": "qemu-system-x86", "aarch64": "qemu-system-arm"}


def qemu_system() -> tuple[str, str]:
    """The name of its program, and that of Debian's package with it."""
    machine = platform.machine()
    return f"qemu-system-{machine}", _PACKAGES.get(machine, "qemu-system")
