# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The files that checks look at: what git tracks or would track."""

from functools import cache
from pathlib import Path
from typing import Final

from covirt.common.process import run

REPOSITORY: Final = Path(__file__).resolve().parents[2]


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file of the repository that exists, ignored ones left out."""
    listed = run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        directory=REPOSITORY,
        timeout_seconds=30,
    ).stdout.decode()
    paths = (REPOSITORY / name for name in listed.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file() and not path.is_symlink()))


def python_files() -> tuple[Path, ...]:
    return tuple(path for path in repository_files() if path.suffix == ".py")


def shell_files() -> tuple[Path, ...]:
    """Files whose first line names a shell."""
    return tuple(path for path in repository_files() if _is_shell(path))


def _is_shell(path: Path) -> bool:
    with path.open("rb") as stream:
        first = stream.readline(100)
    return first.startswith(b"#!") and first.rstrip().endswith((b"/bash", b"/sh", b" sh", b" bash"))
