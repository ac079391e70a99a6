# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a volume shows: the directory "data" at its top, filled from the image at first, or a directory below it.

The top itself is never shown: it has ext4's lost+found, which databases take for a directory in use, and a name that
no container can change.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from covirt.common.errors import CommandFailed
from covirt.common.files import remove_tree, sync_directory
from covirt.common.process import CommandTimeout, run
from covirt.oci import syscalls
from covirt.oci.volume.errors import NoSuchSubpath, VolumeCopyFailed

DATA: Final = "data"
_COPY_SECONDS: Final = 3600.0
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_MODE: Final = 0o755


def fill(top: Path, image_root: Path | None, destination: str) -> Path:
    """Make ``data`` below ``top`` unless it is there: a copy of what the image has at ``destination``, or empty.

    Both sides have the ids of the image. In one step: what a killed daemon had copied is thrown away. Raises
    VolumeCopyFailed.
    """
    data, unfinished = top / DATA, top / f"{DATA}.new"
    if data.is_dir():
        return data
    try:
        remove_tree(unfinished)
        unfinished.mkdir(mode=0o700)
        if not (image_root and _copied(image_root, destination, unfinished)):
            unfinished.chmod(_MODE)
        unfinished.rename(data)
        sync_directory(top)
    except OSError as error:
        raise VolumeCopyFailed(destination=destination, reason=error.strerror) from error
    except (CommandFailed, CommandTimeout) as error:
        raise VolumeCopyFailed(destination=destination, reason=error) from error
    return data


@contextlib.contextmanager
def directory_below(data: Path, subpath: str, *, volume: object) -> Iterator[Path]:
    """A path, good during the block, of a directory in a volume; made where it is missing.

    A container may change the volume meanwhile: no link is followed, and nothing outside is reached. ``volume`` is
    its name in messages. Raises NoSuchSubpath.
    """
    with contextlib.ExitStack() as opened:
        try:
            place = os.open(data, _DIRECTORY | os.O_CLOEXEC)
            opened.callback(os.close, place)
            for name in Path(subpath).parts:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, _MODE, dir_fd=place)
                place = syscalls.open_beneath(place, name, flags=_DIRECTORY)
                opened.callback(os.close, place)
        except OSError as error:
            raise NoSuchSubpath(subpath=subpath, path=volume, reason=error.strerror) from error
        yield Path(f"/proc/self/fd/{place}")


def _copied(image_root: Path, destination: str, target: Path) -> bool:
    """Copy a directory of the image with owners, modes and attributes. False when there is none."""
    with contextlib.ExitStack() as opened:
        root = os.open(image_root, _DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, root)
        try:
            source = syscalls.open_in_root(root, destination, flags=_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return False
        opened.callback(os.close, source)
        # --archive takes links, FIFOs and the like as what they are, and opens nothing but plain files.
        # It ends with a killed daemon: the next one begins anew, and two would write to the same files.
        argv = ("setpriv", "--pdeathsig", "KILL", "--",
                "cp", "--archive", "--no-target-directory", f"/proc/self/fd/{source}/.", target)  # fmt: skip
        run(argv, timeout_seconds=_COPY_SECONDS, pass_descriptors=(source,))
        status = os.fstat(source)
        os.chown(target, status.st_uid, status.st_gid)
        target.chmod(stat.S_IMODE(status.st_mode))
        run(("sync", "--file-system", target), timeout_seconds=_COPY_SECONDS)
    return True
