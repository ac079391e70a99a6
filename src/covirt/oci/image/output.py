# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Files put in their place: whole, in one step, and a full disk told as such."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from covirt.common.files import sync_directory
from covirt.oci.image.errors import BadOutput, DiskFull
from covirt.oci.image.workdir import WorkDir

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def full_disk_told(source: str, path: Path) -> Iterator[None]:
    """Turn the kernel's "no space left" into DiskFull, which names the source and the place."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFull(source=source, path=path) from error


def checked_output(output: Path) -> Path:
    """Where ``--output`` may write: a new name or a plain file, in a directory that exists. Raises BadOutput."""
    target = Path(os.path.abspath(output))
    if not target.parent.is_dir():
        raise BadOutput(path=target, reason="its directory does not exist")
    if target.is_symlink() or (target.exists() and not target.is_file()):
        raise BadOutput(path=target, reason="something other than a plain file is there")
    return target


def move_file(work: WorkDir, path: Path, target: Path, *, source: str) -> os.stat_result:
    """Put the finished file in place in one step, also on another file system; gives the file's identity there."""
    if os.stat(path).st_dev != os.stat(target.parent).st_dev:
        part = work.part_beside(target)
        copy_file(path, part, source=source)
        part.chmod(0o400)
        path = part
    made = os.stat(path)
    os.rename(path, target)
    sync_directory(target.parent)
    return made


def copy_file(path: Path, target: Path, *, source: str) -> None:
    """Copy to a new file and to the disk. Raises DiskFull, FileExistsError."""
    with full_disk_told(source, target.parent), path.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())
