# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Run what touches foreign bytes where it can hurt nothing but one directory.

The program sees itself as root with ids 0 to 65535, so files come out with the owners that the layers name, while
for the host it is a user that owns nothing. Every file system is read-only and locked so, except the one directory,
which it finds as /tmp and as its working directory. It has no network, and when it ends, or we do, all it started
ends with it. Run as ``python -I -m covirt.oci.image.confine DIRECTORY -- PROGRAM ARGUMENT...``, or with
``--call MODULE:FUNCTION`` for a Python function, which is imported before anything is given up.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from covirt.oci import syscalls

# The ids no distribution and no container manager hands out: systemd's table of ids calls 1879048192 to 2147352575
# "unused", and reserves the 65,536 above for foreign disk images. https://systemd.io/UIDS-GIDS
FIRST_ID: Final = 2147287040
ID_COUNT: Final = 65536
INSIDE: Final = "/tmp"  # noqa: S108  # exists everywhere, and TMPDIR of the program falls into its directory


def confined(directory: Path, *argv: str | os.PathLike[str]) -> list[str]:
    """The command that runs ``argv`` with write access to ``directory`` only, seen as INSIDE."""
    return [*_prefix(), os.fspath(directory), "--", *(os.fspath(word) for word in argv)]


def confined_call(directory: Path, function: str, *arguments: str) -> list[str]:
    """The command that calls ``function``, "module:name" of this package, with ``arguments`` (strings)."""
    return [*_prefix(), "--call", f"covirt.oci.image.{function}", os.fspath(directory), "--", *arguments]


def hand_over(directory: Path) -> None:
    """Make ``directory`` the confined root's own, and nobody else's."""
    os.chmod(directory, 0o700)
    os.chown(directory, FIRST_ID, FIRST_ID)


def _prefix() -> list[str]:
    return [sys.executable, "-I", "-m", "covirt.oci.image.confine"]


def _lock_mounts() -> None:
    """Make everything read-only but the working directory, which moves to INSIDE.

    Done before the user namespace is entered: what a more privileged namespace made read-only stays so.
    """
    syscalls.make_mounts_private()
    tree = syscalls.clone_mount(".")
    syscalls.make_mounts_read_only()
    syscalls.attach_mount(tree, INSIDE)
    os.close(tree)
    os.chdir(INSIDE)


def _enter(*, ready: int, mapped: int) -> None:
    syscalls.end_with_parent(signal.SIGKILL)
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS)
    _lock_mounts()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    os.write(ready, b"1")
    if os.read(mapped, 1) != b"1":
        os._exit(125)
    os.closerange(3, 1024)  # also the lock of the work directory, which is not theirs to let go
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    syscalls.end_with_parent(signal.SIGKILL)  # a change of ids takes the wish back
    # The copy belongs to the new user namespace: in it the read-only mounts are locked.
    syscalls.unshare(syscalls.CLONE_NEWNS)
    os.umask(0o022)
    os.environ["TMPDIR"] = INSIDE
    os.environ["HOME"] = INSIDE


def _child(arguments: list[str], function: "Callable[[list[str]], int] | None", *, ready: int, mapped: int) -> int:
    try:
        _enter(ready=ready, mapped=mapped)
        if function is not None:
            return function(arguments)
        os.execvp(arguments[0], arguments)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 126


def _write_maps(pid: int) -> None:
    for kind in ("uid", "gid"):
        Path(f"/proc/{pid}/{kind}_map").write_text(f"0 {FIRST_ID} {ID_COUNT}\n")


def main(argv: list[str]) -> int:
    function = None
    if argv[0] == "--call":
        module, _, name = argv[1].partition(":")
        function = getattr(importlib.import_module(module), name)
        argv = argv[2:]
    directory, arguments = argv[0], argv[2:]
    syscalls.end_with_parent(signal.SIGKILL)
    os.chdir(directory)
    ready_read, ready_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    syscalls.unshare(syscalls.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        os.close(ready_read)
        os.close(mapped_write)
        status = _child(arguments, function, ready=ready_write, mapped=mapped_read)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    os.close(ready_write)
    os.close(mapped_read)
    if os.read(ready_read, 1) == b"1":
        _write_maps(pid)
        os.write(mapped_write, b"1")
    os.close(mapped_write)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
