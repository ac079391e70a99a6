# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where DHCP clients run: a mount namespace that holds the host's programs, read-only, and nothing to write to.

A DHCP client reads what a stranger sends. Were it to obey him, it would find no file of the host but its programs, no
socket, and no place to leave anything. One room serves all clients; it lasts as long as one of them, or we, hold it.
Only few mounts are in it: a copy of the host's whole table would keep every volume of every container busy.
"""

import os
import shutil
import threading
from pathlib import Path
from typing import Final

from covirt.common.files import make_directory
from covirt.common.process import CommandMissing
from covirt.common.threads import call_in_thread
from covirt.oci import syscalls

HOOK: Final = "/dhcp-event"
# Links to usr/ on most distributions, directories on the others.
_BESIDE_USR: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class ClientRoom:
    """Made when it is first entered. Thread-safe."""

    def __init__(self, place: Path) -> None:
        self._place = place  # an empty directory to mount on, in the room's own mount namespace only
        self._lock = threading.Lock()
        self._namespace: int | None = None

    def enter(self) -> None:
        """Move the calling thread there; only ever call it in a thread that ends afterwards. Raises OSError."""
        with self._lock:
            if self._namespace is None:
                self._namespace = call_in_thread(lambda: _make(self._place), name="dhcp-room")
            namespace = self._namespace
        syscalls.unshare(syscalls.CLONE_FS)
        syscalls.enter_namespace(namespace, syscalls.CLONE_NEWNS)

    def close(self) -> None:
        """Let go of it; clients that are in it stay."""
        with self._lock:
            if self._namespace is not None:
                os.close(self._namespace)
                self._namespace = None


def _make(place: Path) -> int:
    """In a thread of its own: the descriptor of a new mount namespace, with the room as its root."""
    cat = shutil.which("cat", path="/usr/bin:/bin")
    if cat is None:
        raise CommandMissing(program="cat", reason="it is neither in /usr/bin nor in /bin")
    make_directory(place)
    syscalls.unshare(syscalls.CLONE_NEWNS)  # the thread's alone, with a working directory of its own
    syscalls.make_mounts_private()
    trees = {name: syscalls.clone_mount(f"/{name}") for name in ("usr", "proc", "dev/null")}
    links = {}
    for name in _BESIDE_USR:
        path = Path("/", name)
        if path.is_symlink():
            links[name] = os.readlink(path)
        elif path.is_dir():
            trees[name] = syscalls.clone_mount(str(path))
    syscalls.mount("tmpfs", str(place), "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755,size=64k")
    os.chdir(place)
    for name, target in links.items():
        os.symlink(target, name)
    os.mkdir("dev")
    for name, tree in trees.items():
        if name == "dev/null":
            Path(name).touch()
        else:
            os.mkdir(name)
        syscalls.attach_mount(tree, name)
        os.close(tree)
    # What an event runs: cat, which prints the event's environment, then this very line, which ends the record. No
    # interpreter ever sees what the server sent.
    hook = Path(HOOK.removeprefix("/"))
    hook.write_text(f"#!{cat} /proc/self/environ\n")
    hook.chmod(0o755)
    syscalls.pivot_root(".", ".")
    syscalls.unmount(".", syscalls.MNT_DETACH)
    os.chdir("/")
    syscalls.make_mounts_read_only()
    return os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
