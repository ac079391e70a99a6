# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Debian's podman as the other measure: ``podman run -d --network none`` of the same image with the same mapping."""

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from covirt.oci.null_device import reclaim_null_device
from tests.performance.daemon import IDLE, Host, remove_cgroups
from tests.support.syscalls import MS_NODEV, MS_NOSUID, mount, unmount
from tests.support.waiting import wait_until

_SECONDS: Final = 60.0
_SHARED_MEMORY: Final = Path("/dev/shm")
# It may not raise limits where there is no CAP_SYS_RESOURCE, and its defaults are higher than those of many a shell.
_LIMITS: Final = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
_NAME: Final = "bench"


class Podman:
    """One podman with a storage of its own."""

    def __init__(self, directory: Path, runtime: Path) -> None:
        self._podman = ["podman", "--root", str(directory / "podman"), "--runroot", str(runtime / "podman")]
        self._podman += ["--tmpdir", str(runtime / "podman-tmp"), "--cgroup-manager", "cgroupfs"]
        self._image = ""

    def pull(self, source: str) -> None:
        self._image = self._call(["pull", "--quiet", source]).strip()

    def milliseconds(self, runtime: str, *, first_id: int) -> float:
        """One ``podman run -d``, from the call to its return. The container is removed before this returns."""
        mapping = f"0:{first_id}:65536"
        words = ["--runtime", runtime, "run", "--detach", "--name", _NAME, "--network", "none", *_LIMITS]
        words += ["--uidmap", mapping, "--gidmap", mapping, self._image, *IDLE]
        begin = time.perf_counter()
        self._call(words)
        took = (time.perf_counter() - begin) * 1000
        # conmon has podman clean up as well when the container ends, and the two get into each other's way.
        wait_until(self._removed, timeout_seconds=_SECONDS, what="the end of podman's container")
        reclaim_null_device()
        return took

    def _removed(self) -> bool:
        words = [*self._podman, "rm", "--force", "--ignore", "--time", "0", _NAME]
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0

    def remove(self) -> None:
        self._call(["rm", "--force", "--all", "--time", "0"])
        self._call(["rmi", "--force", "--all"])

    def _call(self, words: Sequence[str]) -> str:
        completed = subprocess.run(
            [*self._podman, *words], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert completed.returncode == 0, f"podman {' '.join(words)}: {completed.stderr.decode()}"
        return completed.stdout.decode()


@contextlib.contextmanager
def new_podman(host: Host) -> Iterator[Podman]:
    """Storage on the disk and run-time files in memory, as a host has them."""
    root = host.daemon.root.path
    mount("tmpfs", _SHARED_MEMORY, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    podman = Podman(root, root / "run")
    try:
        podman.pull(host.source)
        yield podman
        podman.remove()
    finally:
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            target = line.split()[4]
            if target.startswith((f"{root}/podman", f"{root}/run/podman")):
                unmount(target)
        unmount(_SHARED_MEMORY)
        remove_cgroups("libpod_parent")
