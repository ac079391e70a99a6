# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The test world: namespaces of our own, so that tests may mount, plug and limit as they like.

tests.support.launch starts a whole run in a PID namespace and a first world; every pytest process that executes tests
(each xdist worker, or the only one) then enters a world of its own with enter_world(). In it are private /run and
/var/tmp, an empty network with loopback up, and only our part of the cgroup tree. All of it dies with the process.
"""

import contextlib
import os
import socket
import tempfile
from pathlib import Path
from typing import Final

from covirt.common.process import run
from tests.support import cgroups
from tests.support.syscalls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    MS_SHARED,
    mount,
    unmount,
    unshare,
)

# "in:<directory on disk>" inside a launched world, "off:<reason>" where there can be none.
VARIABLE: Final = "COVIRT_TEST_WORLD"
# Short, because socket paths below it must fit into 107 bytes; passable by a container's mapped root.
WORLD_DIR: Final = Path("/run/t")
WORLD_TMP: Final = WORLD_DIR / "tmp"
DISK_DIR: Final = Path("/run/disk")
VAR_TMP: Final = Path("/var/tmp")
HOST_NAME: Final = "testhost"
# In a world's directory on disk: the numbers of its file systems in memory.
FILE_SYSTEMS: Final = ".file-systems"

_REPOSITORY: Final = Path(__file__).resolve().parents[2]


def enter_world(name: str, *, keep_network: bool = False) -> None:
    """Give this process its own world; ``name`` names its cgroup and its directory on disk. Needs root."""
    disk = Path(os.environ[VARIABLE].removeprefix("in:"))
    trees = cgroups.hierarchies()
    for tree in trees:
        cgroups.join(tree.make_child(name))
    unshare(CLONE_NEWNS | (0 if keep_network else CLONE_NEWNET) | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    socket.sethostname(HOST_NAME)
    with contextlib.suppress(OSError):  # not a mount point in a bare container
        unmount("/sys")  # with everything on it: a covered mount would still show in the mount table
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV)
    cgroups.mount_as_root(trees)
    _mount_directories(disk / name)
    _mount_resolver_files()
    _make_checkout_passable()
    os.environ[VARIABLE] = f"in:{DISK_DIR}"
    run(["ip", "link", "set", "lo", "up"], timeout_seconds=10)


def _mount_directories(disk: Path) -> None:
    disk.mkdir(mode=0o711, exist_ok=True)
    descriptor = os.open(disk, os.O_PATH | os.O_CLOEXEC)  # reachable after /run is covered
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for directory, mode in (("/run/lock", 0o1777), ("/run/netns", 0o755), (DISK_DIR, 0o711), (WORLD_DIR, 0o711)):
        Path(directory).mkdir()
        Path(directory).chmod(mode)
    # As iproute2 makes it with the first namespace, and never unmakes it: so it is nobody's leak.
    mount("/run/netns", Path("/run/netns"), flags=MS_BIND)
    mount("none", Path("/run/netns"), flags=MS_SHARED | MS_REC)
    mount(f"/proc/self/fd/{descriptor}", DISK_DIR, flags=MS_BIND)
    os.close(descriptor)
    mount("tmpfs", WORLD_DIR, "tmpfs", options="mode=711")
    if var_tmp_is_private():
        mount("tmpfs", VAR_TMP, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    _write_down_file_systems()
    WORLD_TMP.mkdir()
    WORLD_TMP.chmod(0o1777)
    use_temporary_directory(WORLD_TMP)


def _write_down_file_systems() -> None:
    """Tell the next run, should this one be killed, whose loop devices are ours."""
    places = [WORLD_DIR, *([VAR_TMP] if var_tmp_is_private() else [])]
    (DISK_DIR / FILE_SYSTEMS).write_text(" ".join(str(place.stat().st_dev) for place in places))


def _mount_resolver_files() -> None:
    """Our host name is known, every other name fails at once: there is no network to ask."""
    for name, text in (("hosts", f"127.0.0.1 localhost {HOST_NAME}\n"), ("resolv.conf", "nameserver 127.0.0.1\n")):
        ours, usual = Path("/run", name), Path("/etc", name).resolve()
        ours.write_text(text)
        if not usual.exists():  # a link into /run, which is empty now
            usual.parent.mkdir(parents=True, exist_ok=True)
            usual.touch()
        mount(str(ours), usual, flags=MS_BIND)


def _make_checkout_passable() -> None:
    """Programs of the virtual environment also run as other users, and a checkout may lie in somebody's home."""
    closed = [one for one in reversed(_REPOSITORY.parents) if not one.stat().st_mode & 0o001]
    if not closed:
        return
    inside = Path.cwd().is_relative_to(_REPOSITORY)
    directory = Path.cwd()
    descriptor = os.open(_REPOSITORY, os.O_PATH | os.O_CLOEXEC)
    mount("tmpfs", closed[0], "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    _REPOSITORY.mkdir(parents=True)
    mount(f"/proc/self/fd/{descriptor}", _REPOSITORY, flags=MS_BIND | MS_REC)
    os.close(descriptor)
    if inside:
        os.chdir(directory)


def var_tmp_is_private() -> bool:
    """Whether the world has its own /var/tmp: always, unless the checkout itself lies there."""
    return VAR_TMP not in _REPOSITORY.parents and VAR_TMP not in Path.cwd().parents


def use_temporary_directory(directory: Path) -> None:
    """Send this process's and its children's temporary files there; pytest's own tmp_path stays where it is."""
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ["TMPDIR"] = str(directory)
    tempfile.tempdir = None


def missing_reason() -> str | None:
    """Why there is no world, or None inside one."""
    value = os.environ.get(VARIABLE, "off:started without tests.support.launch")
    return None if value.startswith("in:") else value.removeprefix("off:")
