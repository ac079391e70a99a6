# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who clears what: the owner at its end, the next run after a kill, and nobody while it works."""

import fcntl
import os
from pathlib import Path

import pytest

from covirt.oci.image.workdir import clear_stale, work_dir

pytestmark = pytest.mark.root


def _abandoned(parent: Path, name: str, *, with_lock: bool = True) -> Path:
    path = parent / name
    (path / "inner/tree").mkdir(parents=True)
    (path / "inner/tree/file").write_text("x")
    if with_lock:
        (path / "lock").touch()
    return path


def test_it_goes_with_its_owner(open_dir: Path) -> None:
    with work_dir(open_dir / "work") as work:
        assert work.inner.is_dir()
        assert work.inner.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (open_dir / "work").iterdir()] == [".lock"]


def test_it_goes_when_its_owner_fails(open_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError), work_dir(open_dir / "work"):
        raise ZeroDivisionError
    assert [path.name for path in (open_dir / "work").iterdir()] == [".lock"]


@pytest.mark.parametrize("with_lock", [True, False])
def test_the_next_one_clears_what_was_abandoned(open_dir: Path, with_lock: bool) -> None:
    parent = open_dir / "work"
    parent.mkdir()
    path = _abandoned(parent, "dead", with_lock=with_lock)
    with work_dir(parent):
        assert not path.exists()


def test_what_a_child_still_holds_stays(open_dir: Path) -> None:
    parent = open_dir / "work"
    parent.mkdir()
    path = _abandoned(parent, "alive")
    descriptor = os.open(path / "lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    clear_stale(parent)
    assert (path / "inner/tree/file").exists()
    os.close(descriptor)
    clear_stale(parent)
    assert not path.exists()


def test_a_half_written_output_is_cleared_too(open_dir: Path) -> None:
    parent = open_dir / "work"
    with work_dir(parent) as work:
        part = work.part_beside(open_dir / "image.raw")
        noted = (work.path / "part").read_bytes()
    path = _abandoned(parent, "dead")
    (path / "part").write_bytes(noted)
    part.write_text("half")
    clear_stale(parent)
    assert not part.exists()
    assert not path.exists()


def test_a_note_of_anything_else_is_not_followed(open_dir: Path) -> None:
    parent = open_dir / "work"
    parent.mkdir()
    precious = open_dir / "precious"
    precious.write_text("x")
    (_abandoned(parent, "dead") / "part").write_text(str(precious))
    clear_stale(parent)
    assert precious.exists()


def test_nothing_is_made_where_nothing_is(open_dir: Path) -> None:
    clear_stale(open_dir / "work")
    assert list(open_dir.iterdir()) == []
