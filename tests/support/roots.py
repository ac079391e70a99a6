# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Installations (covirt.common.root.Root) for tests: short paths, passable by a mapped root, not on overlayfs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covirt.common.files import remove_tree
from covirt.common.root import Root
from tests.support.world import DISK_DIR, WORLD_DIR, missing_reason


@contextmanager
def new_directory(*, on_disk: bool = False) -> Iterator[Path]:
    """A directory of mode 0711 below directories of mode 0711: a tmpfs, or with ``on_disk`` the machine's disk."""
    parent = None if missing_reason() is not None else DISK_DIR if on_disk else WORLD_DIR
    path = Path(tempfile.mkdtemp(prefix="", dir=parent))
    path.chmod(0o711)
    try:
        yield path
    finally:
        remove_tree(path)


@contextmanager
def new_root() -> Iterator[Root]:
    """An empty installation, removed afterwards."""
    with new_directory() as path:
        yield Root(path)
