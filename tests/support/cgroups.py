# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The test world's own part of the cgroup tree: made below our own place, mounted as if it were the whole tree.

In a hybrid tree (version 1 controllers and an empty version 2 tree) the empty one is left out of the world,
because crun refuses such a mixture.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.mounts import read_mounts
from tests.support.syscalls import mount

CGROUP_MOUNT: Final = Path("/sys/fs/cgroup")
# Processes of the world itself sit in this leaf on version 2, whose inner groups may hold no process.
LEAF: Final = "tests"
_REMOVE_SECONDS: Final = 5.0
_FLAG_WORDS: Final = frozenset(
    {"rw", "ro", "relatime", "nosuid", "nodev", "noexec", "nsdelegate", "memory_recursiveprot"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """One mounted cgroup tree and the directory in it where this process is."""

    version: int
    mount_point: Path
    options: str
    own: Path

    @property
    def place(self) -> Path:
        """Where children are made: our own group, or on version 2 the one whose leaf we sit in."""
        return self.own.parent if self.own.name == LEAF else self.own

    def make_child(self, name: str) -> Path:
        """Make a group beside or below us, ready to take processes."""
        if self.version == 2:
            enable_controllers(self.place)
        make_group(self.place / name)
        return self.place / name


def hierarchies() -> list[Hierarchy]:
    """The trees that count: all of version 1 where any of them has controllers, else version 2."""
    own = _own_paths()
    found: dict[str, Hierarchy] = {}  # a later mount covers an earlier one
    for entry in read_mounts():
        if entry.fstype not in {"cgroup", "cgroup2"} or CGROUP_MOUNT not in (entry.target, *entry.target.parents):
            continue
        words = [word for word in entry.super_options.split(",") if word not in _FLAG_WORDS]
        words = [word for word in words if not word.startswith("release_agent=")]
        key = "" if entry.fstype == "cgroup2" else next((word for word in words if word in own), "?")
        if key in own:
            found[key] = Hierarchy(
                version=2 if entry.fstype == "cgroup2" else 1,
                mount_point=entry.target,
                options=",".join(["none", *words] if key.startswith("name=") else words),
                own=Path(os.path.normpath(entry.target / os.path.relpath(own[key], entry.root))),
            )
    version_1 = [one for one in found.values() if one.version == 1]
    return version_1 or list(found.values())


def _own_paths() -> dict[str, str]:
    """Our place in each tree, by controller (``""`` is version 2)."""
    paths: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def make_group(group: Path) -> None:
    group.mkdir(exist_ok=True)
    for name in ("cpuset.mems", "cpuset.cpus"):  # empty in a new version 1 group, which then takes no process
        if (group / name).exists() and not (group / name).read_text().strip():
            (group / name).write_text((group.parent / name).read_text())


def enable_controllers(group: Path) -> None:
    """Hand every controller on to the children; one that the kernel keeps back stays absent."""
    for controller in (group / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def join(group: Path) -> None:
    """Move this process into a group that make_child() made."""
    (group / "cgroup.procs").write_text(str(os.getpid()))


def sit_in_leaf() -> None:
    """Make room: on version 2 a group with children may hold no process, except the real root (it has no type)."""
    for tree in hierarchies():
        if tree.version == 2 and tree.place == tree.own and (tree.own / "cgroup.type").exists():
            _move_to(tree.own / LEAF)


def _move_to(leaf: Path) -> None:
    leaf.mkdir(exist_ok=True)
    join(leaf)


def mount_as_root(trees: Iterable[Hierarchy]) -> None:
    """Mount the trees anew at the usual place; in a new cgroup namespace they show only our part."""
    listed = list(trees)
    if any(tree.version == 1 for tree in listed):
        mount("tmpfs", CGROUP_MOUNT, "tmpfs", options="mode=755")
    for tree in listed:
        target = CGROUP_MOUNT / tree.mount_point.name if tree.version == 1 else CGROUP_MOUNT
        target.mkdir(exist_ok=True)
        mount("cgroup", target, "cgroup" if tree.version == 1 else "cgroup2", options=tree.options)
        if tree.version == 2:  # as systemd leaves a host: processes in leaves, every controller handed on
            _move_to(CGROUP_MOUNT / LEAF)
            enable_controllers(CGROUP_MOUNT)


def groups_below(top: Path) -> Iterator[Path]:
    """Every group below ``top``, children before parents."""
    for directory, names, _ in os.walk(top, topdown=False):
        for name in names:
            yield Path(directory, name)


def remove_group(top: Path) -> None:
    """End every process in the group and remove it. Only for groups that we made."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while top.is_dir():
        for group in (*groups_below(top), top):
            _kill_members(group)
            with contextlib.suppress(OSError):  # busy until the processes are gone
                group.rmdir()
        if time.monotonic() > deadline:
            raise TimeoutError(f"cgroup {top} cannot be removed: it still holds processes")
        time.sleep(0.01)


def _kill_members(group: Path) -> None:
    with contextlib.suppress(OSError):
        for word in (group / "cgroup.procs").read_text().split():
            if word not in {"0", str(os.getpid())}:  # 0: a process of a PID namespace above ours
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(word), signal.SIGKILL)
