# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of things that a test can leave behind: how to list the ones that are ours, and how to remove them."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.files import remove_tree
from covirt.common.process import run
from tests.support import cgroups, loops, processes
from tests.support.mounts import Mount, read_mounts
from tests.support.syscalls import unmount
from tests.support.world import DISK_DIR, VAR_TMP, WORLD_DIR, missing_reason, var_tmp_is_private

Things = Mapping[Hashable, str]  # identity -> the words for a person
_KEPT_THREADS: Final = ("libvirt-events", "dbos-executor")  # the second are a pool's, which grows when it has to


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of thing that can be left behind."""

    name: str
    list: Callable[[], Things]
    remove: Callable[[Iterable[Hashable]], None]


def _threads() -> Things:
    # libvirt's event loop may never be stopped: the first test that has a connection starts it for all.
    threads = {thread: thread.name for thread in threading.enumerate()}
    return {thread: name for thread, name in threads.items() if not name.startswith(_KEPT_THREADS)}


def _threads_cannot_be_ended(keys: Iterable[Hashable]) -> None:
    """A left thread stays; it is reported once, with the test that started it."""


def _temporary_files() -> Things:
    places = [Path(tempfile.gettempdir())]
    if missing_reason() is None:
        places += [WORLD_DIR, DISK_DIR]
        places += [VAR_TMP] if var_tmp_is_private() else []
    return {path: str(path) for place in places for path in place.iterdir()}


def _remove_files(keys: Iterable[Hashable]) -> None:
    for key in keys:
        assert isinstance(key, Path)
        remove_tree(key)


def _mounts() -> Things:
    return {mount: str(mount) for mount in read_mounts()}


def _unmount(keys: Iterable[Hashable]) -> None:
    for mount in sorted((key for key in keys if isinstance(key, Mount)), key=lambda one: -one.mount_id):
        with contextlib.suppress(OSError):  # gone with the mount it was on
            unmount(mount.target)


def _links() -> Things:
    # A kernel with bonds has a file there too, bonding_masters.
    return {entry.name: entry.name for entry in os.scandir("/sys/class/net") if entry.is_dir()}


def _remove_links(keys: Iterable[Hashable]) -> None:
    for name in keys:
        run(["ip", "link", "delete", str(name)], timeout_seconds=10, check=False)  # its veth peer may be gone already


def _groups() -> Things:
    return {path: str(path) for path in cgroups.groups_below(cgroups.CGROUP_MOUNT) if not _is_tree(path)}


def _is_tree(path: Path) -> bool:
    return path.parent == cgroups.CGROUP_MOUNT and (path / "release_agent").exists()


def _remove_groups(keys: Iterable[Hashable]) -> None:
    for key in keys:
        assert isinstance(key, Path)
        cgroups.remove_group(key)


ALWAYS: Final = (
    Kind(name="processes", list=processes.our_processes, remove=processes.kill),
    Kind(name="threads", list=_threads, remove=_threads_cannot_be_ended),
)
# In the order of their removal: a mount may need its process gone, a directory its mount.
IN_A_WORLD: Final = (
    Kind(name="mounts and network namespaces", list=_mounts, remove=_unmount),
    Kind(name="links", list=_links, remove=_remove_links),
    Kind(name="cgroups", list=_groups, remove=_remove_groups),
    Kind(name="loop devices", list=loops.our_loops, remove=loops.detach),
)
# Last of all.
FILES: Final = (Kind(name="temporary files", list=_temporary_files, remove=_remove_files),)
