# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Run what touches foreign bytes where it can hurt nothing but one directory.

The program sees itself as root with ids 0 to 65535, so files come out with the owners that the layers name, while
for the host it is a user that owns nothing. Every file system is read-only and locked so, except the one directory,
which it finds as /tmp and as its working directory. It has no network, and when it ends, or we do, all it started
ends with it. Run as ``python -I -m covirt.oci.image.confine DIRECTORY -- PROGRAM ARGUMENT...``, or with
``--call MODULE:FUNCTION`` for a Python function, which is imported before anything is given up.
"""

import ctypes
import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

# The ids no distribution and no container manager hands out: systemd's table of ids calls 1879048192 to 2147352575
# "unused", and reserves the 65,536 above for foreign disk images. https://systemd.io/UIDS-GIDS
FIRST_ID: Final = 2147287040
ID_COUNT: Final = 65536
INSIDE: Final = "/tmp"  # noqa: S108  # exists everywhere, and TMPDIR of the program falls into its directory

_CLONE_NEWNS: Final = 0x00020000
_CLONE_NEWUTS: Final = 0x04000000
_CLONE_NEWIPC: Final = 0x08000000
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWPID: Final = 0x20000000
_CLONE_NEWNET: Final = 0x40000000
_MS_REC_PRIVATE: Final = 0x4000 | 0x40000
_PR_SET_PDEATHSIG: Final = 1
# The three calls have one number on every architecture (they came after the tables were unified).
_SYS_OPEN_TREE: Final = 428
_SYS_MOVE_MOUNT: Final = 429
_SYS_MOUNT_SETATTR: Final = 442
_AT_FDCWD: Final = -100
_AT_RECURSIVE: Final = 0x8000
_OPEN_TREE_CLONE: Final = 1
_MOVE_MOUNT_F_EMPTY_PATH: Final = 4
_MOUNT_ATTR_RDONLY: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


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


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _unshare(flags: int) -> None:
    _checked(_libc.unshare(ctypes.c_int(flags)))


def _die_with_parent() -> None:
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0))


def _lock_mounts() -> None:
    """Make everything read-only but the working directory, which moves to INSIDE.

    Done before the user namespace is entered: what a more privileged namespace made read-only stays so.
    """
    _checked(_libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None))
    tree = _checked(_libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD, b".", _OPEN_TREE_CLONE | os.O_CLOEXEC))
    attributes = _MountAttr(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _checked(_libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, ctypes.byref(attributes), size))
    flags = _MOVE_MOUNT_F_EMPTY_PATH
    _checked(_libc.syscall(_SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, INSIDE.encode(), flags))
    os.close(tree)
    os.chdir(INSIDE)


def _enter(*, ready: int, mapped: int) -> None:
    _die_with_parent()
    _unshare(_CLONE_NEWNS | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS)
    _lock_mounts()
    _unshare(_CLONE_NEWUSER)
    os.write(ready, b"1")
    if os.read(mapped, 1) != b"1":
        os._exit(125)
    os.close(ready)
    os.close(mapped)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    _die_with_parent()  # a change of ids takes the wish back
    _unshare(_CLONE_NEWNS)  # a copy owned by the new user namespace: here the read-only mounts get locked
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
    _die_with_parent()
    os.chdir(directory)
    ready_read, ready_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    _unshare(_CLONE_NEWPID)
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
