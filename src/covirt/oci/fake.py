# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what needs root or conmon, for tests of everything above: a monitor, bundles and namespaces.

Nothing loads them but tests. With the fake runtime and its supervisor (runtimes/fake.py) a container is a plain
process of the caller's user, without any isolation.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from covirt.common.files import make_directory, remove_tree
from covirt.oci import fake_monitor_program
from covirt.oci.bundle import Bundle, BundleRequest
from covirt.oci.idmap import IdMap
from covirt.oci.isolation_errors import ImageFileMissing
from covirt.oci.monitor import CREATE_SECONDS, ConmonMonitor
from covirt.oci.namespaces import Namespaces
from covirt.oci.secret_files import SecretFile
from covirt.oci.spec import Mount
from covirt.oci.users import ResolvedUser
from covirt.oci.volume.views import AnyVolume


def fake_monitor(*, timeout_seconds: float = CREATE_SECONDS) -> ConmonMonitor:
    """The real monitor's client in front of a program that stands for conmon."""
    # -I -S: no site packages and no environment, for a quick start.
    script = os.path.abspath(fake_monitor_program.__file__)
    return ConmonMonitor(program=sys.executable, arguments=("-I", "-S", script), timeout_seconds=timeout_seconds)


class FakeBundles:
    """Bundles without a mount: every container has the same directory as its root, whatever its image says."""

    def __init__(self, rootfs: Path) -> None:
        self._rootfs = rootfs

    def prepare_directory(self, directory: Path, idmap: IdMap) -> None:  # noqa: ARG002 - owned by whoever runs us
        make_directory(directory)

    def prepare(self, request: BundleRequest) -> Bundle:
        """Raises ImageFileMissing."""
        if not request.image.exists():
            raise ImageFileMissing(path=request.image, reason="No such file or directory")
        return Bundle(directory=request.directory, rootfs=self._rootfs, mounts=())

    def give_secrets(
        self,
        directory: Path,  # noqa: ARG002 - nothing is written
        secrets: Sequence[SecretFile],  # noqa: ARG002
        idmap: IdMap,  # noqa: ARG002
        user: ResolvedUser,  # noqa: ARG002
    ) -> tuple[Mount, ...]:
        return ()

    def remove(self, directory: Path) -> None:
        remove_tree(directory)

    def add_volume(self, directory: Path, name: str, volume: AnyVolume, image: tuple[Path, str] | None) -> None:
        """Nothing is shown."""

    def remove_volume(self, directory: Path, name: str) -> None:
        """Nothing was."""


class FakeNamespaces:
    """Namespaces that are empty files."""

    def make(self, idmap: IdMap, directory: Path) -> Namespaces:  # noqa: ARG002 - nobody is mapped
        make_directory(directory)
        made = Namespaces(user=directory / "user", network=directory / "network")
        for path in (made.user, made.network):
            path.touch(mode=0o600)
        return made

    def warm_up(self) -> None:
        """Files are made in no time."""

    def close(self) -> None:
        """Nothing waits."""
