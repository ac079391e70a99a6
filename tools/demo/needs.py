# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo needs of the machine, told in one sentence when it is not there."""

import os
import shutil
from pathlib import Path
from typing import Final

from tools.demo.errors import NotRoot, ProgramsMissing

_PROGRAMS: Final = (
    "virsh",
    "libvirtd",
    "virtlogd",
    "qemu-system-x86_64",
    "dnsmasq",
    "runc",
    "conmon",
    "skopeo",
    "umoci",
    "mkfs.erofs",
    "docker-registry",
    "nft",
    "ip",
    "nsenter",
    "busybox",
)
_SYSTEM_PLACES: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def check_machine() -> None:
    """Raises NotRoot, ProgramsMissing."""
    if os.geteuid() != 0:
        raise NotRoot
    # A root shell opened with plain su lacks the sbin directories.
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{_SYSTEM_PLACES}".lstrip(":")
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise ProgramsMissing(programs=", ".join(missing))


def last_lines(path: Path | None, count: int = 12) -> str:
    """The end of a log, for a message; empty when there is none."""
    if path is None or not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").rstrip().splitlines()[-count:])
