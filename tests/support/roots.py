# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Installations (covirt.common.root.Root) for tests: short paths, passable by a mapped root, not on overlayfs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covirt.common.files import remove_tree
from covirt.common.root import Root
from tests.support.mounts import read_mounts
from tests.support.world import DISK_DIR, WORLD_DIR, missing_reason


@contextmanager
def new_directory(*, on_disk: bool = False) -> Iterator[Path]:
    """A directory of mode 0711 below directories of mode 0711: a tmpfs, or with ``on_disk`` the machine's disk.

    A disk that is itself an overlay can hold no overlay's upper directory: there, on_disk is a tmpfs too.
    """
    parent = None if missing_reason() is not None else DISK_DIR if on_disk and not _disk_is_overlay() else WORLD_DIR
    path = Path(tempfile.mkdtemp(prefix="", dir=parent))
    path.chmod(0o711)
    try:
        yield path
    finally:
        remove_tree(path)


def _disk_is_overlay() -> bool:
    return any(mount.fstype == "overlay" for mount in read_mounts() if mount.target == DISK_DIR)


@contextmanager
def new_root() -> Iterator[Root]:
    """An empty installation, removed afterwards."""
    with new_directory() as path:
        yield Root(path)
