# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A hand-made OCI bundle with busybox as its only program, for tests of runtimes and monitors alone."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_NAMESPACES: Final = ("pid", "mount", "ipc", "uts", "network")
_DEVPTS: Final = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]


def make_bundle(
    directory: Path,
    arguments: Sequence[str],
    *,
    cgroups_path: str,
    terminal: bool = False,
    resources: Mapping[str, Any] | None = None,
) -> Path:
    """Write a bundle at ``directory``; ``arguments`` begin with an absolute path, as "/bin/busybox". Returns it."""
    programs = directory / "rootfs/bin"
    programs.mkdir(parents=True, exist_ok=True)
    busybox = shutil.which("busybox")
    assert busybox is not None, "busybox-static is not installed"
    if not (programs / "busybox").exists():
        shutil.copy(busybox, programs / "busybox")
    for name in ("proc", "dev", "tmp"):
        (directory / "rootfs" / name).mkdir(exist_ok=True)
    config = {
        "ociVersion": "1.0.0",
        "process": {
            "terminal": terminal,
            "user": {"uid": 0, "gid": 0},
            "args": list(arguments),
            "env": ["PATH=/bin", "HOME=/"],
            "cwd": "/",
        },
        "root": {"path": "rootfs"},
        "hostname": "tiny",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": _DEVPTS},
        ],
        "linux": {
            "cgroupsPath": cgroups_path,
            "namespaces": [{"type": name} for name in _NAMESPACES],
            "resources": dict(resources or {}),
        },
    }
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def shell(script: str) -> tuple[str, ...]:
    """The arguments of a process that runs ``script``."""
    return ("/bin/busybox", "sh", "-c", script)
