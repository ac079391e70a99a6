# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Run a program that finds an open file of another process under a plain name, where nobody can put another file.

Whoever names a file as /proc/PID/fd/N means that file, whatever is at its place meanwhile. But skopeo follows all
links of a name by itself before it opens what it ends at, and of this one that is the place again. So the file is
mounted over an empty one of ours, in a mount namespace that ends with the program; one that has no name left cannot
be mounted, and is refused. Run as
``python -I -m covirt.oci.image.shown_file FILE PLACE -- PROGRAM ARGUMENT...``.
"""

import os
import re
import signal
import stat
import sys
from pathlib import Path
from typing import Final

from covirt.oci import syscalls

_OPEN_FILE: Final = re.compile(r"/proc/[0-9]+/fd/[0-9]+")
_NOT_STARTED: Final = 126


def is_open_file(path: Path) -> bool:
    """Whether it is named by a descriptor."""
    return _OPEN_FILE.fullmatch(str(path)) is not None


def showing(file: Path, place: Path) -> list[str]:
    """What stands before a command that is to find ``file`` at ``place``, a file of ours that exists."""
    return [sys.executable, "-I", "-m", "covirt.oci.image.shown_file", os.fspath(file), os.fspath(place), "--"]


def main(argv: list[str]) -> int:
    file, place, command = argv[0], argv[1], argv[3:]
    syscalls.end_with_parent(signal.SIGKILL)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            sys.stderr.write("unexpected EOF: it is no plain file\n")
            return _NOT_STARTED
        tree = syscalls.clone_mount(f"/proc/self/fd/{descriptor}")  # of the namespace that the file was opened in
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.make_mounts_private()
        syscalls.attach_mount(tree, place)
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{error.strerror}: the file cannot be opened for {command[0]}; was it removed meanwhile?\n")
        return _NOT_STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
