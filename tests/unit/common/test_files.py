# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Files are whole or absent, also when the writer is killed in the middle."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from covirt.common.files import (
    BrokenFile,
    UnknownFileVersion,
    make_directory,
    read_json,
    remove_tree,
    usable_id_path,
    write_atomic,
    write_json,
)
from covirt.common.process import DEVNULL, PIPE, spawn

_WRITER = """
import sys
from pathlib import Path
from covirt.common.files import write_json
for number in range(1_000_000):
    write_json(Path(sys.argv[1]), {"number": number, "text": str(number) * 20_000}, version=1, durable=False)
    if number == 0:
        print("first", flush=True)
"""


@pytest.mark.parametrize("durable", [True, False])
def test_the_file_has_the_content_and_the_mode(tmp_path: Path, *, durable: bool) -> None:
    path = tmp_path / "state"
    write_atomic(path, b"old", mode=0o644, durable=durable)
    write_atomic(path, b"new", mode=0o600, durable=durable)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["state"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir()  # a file cannot replace a directory
    with pytest.raises(OSError, match="directory"):
        write_atomic(path, b"new")
    assert os.listdir(tmp_path) == ["state"]


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for _ in range(5):
        with spawn([sys.executable, "-c", _WRITER, path], stdout=PIPE, stderr=DEVNULL) as writer:
            assert writer.stdout.readline() == b"first\n"
            time.sleep(random.uniform(0, 0.02))  # noqa: S311  # any moment will do
            writer.signal(signal.SIGKILL)
            assert writer.wait(timeout_seconds=30) == -signal.SIGKILL
        state = read_json(path, versions=range(1, 2))
        assert state["text"] == str(state["number"]) * 20_000


def test_json_carries_its_version(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"name": "web"}, version=3)
    assert read_json(path, versions=range(2, 4)) == {"version": 3, "name": "web"}
    with pytest.raises(UnknownFileVersion, match=r"version 3.*versions 1 to 2"):
        read_json(path, versions=range(1, 3))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"name": "web"}', '{"version": "1"}', "\xff"])
def test_what_is_not_our_json_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BrokenFile, match=str(path)):
        read_json(path, versions=range(1, 2))


def test_an_absent_file_is_said_to_be_absent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "state.json", versions=range(1, 2))


def test_json_is_stable_text(tmp_path: Path) -> None:
    write_json(tmp_path / "one", {"b": 1, "a": 2}, version=1)
    write_json(tmp_path / "two", {"a": 2, "b": 1}, version=1)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert json.loads((tmp_path / "one").read_text()) == {"version": 1, "a": 2, "b": 1}


def test_directories_get_the_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_directory(tmp_path / "a/b/c")
        make_directory(tmp_path / "a", mode=0o700)
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/c")]
    assert modes == [0o711, 0o711, 0o711]


def test_a_tree_is_removed_and_a_link_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "link").symlink_to(precious)
    (tmp_path / "direct").symlink_to(precious)
    for path in (tree, tmp_path / "direct", tmp_path / "absent"):
        remove_tree(path)
    assert sorted(os.listdir(tmp_path)) == ["precious"]
    assert (precious / "file").read_text() == "keep"


def test_a_tree_deeper_than_the_stack_is_removed(tmp_path: Path) -> None:
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(2 * sys.getrecursionlimit()):
        for name in ("inner", "other"):
            os.mkdir(name, dir_fd=place)
        below = os.open("inner", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    remove_tree(tmp_path / "inner")
    assert os.listdir(tmp_path) == ["other"]


@pytest.mark.parametrize(("name", "usable"), [
    ("web-1", True), ("ä", True), ("", False), (".", False), ("..", False), ("a/b", False), ("a\0b", False),
    ("x" * 199, True), ("x" * 200, False), ("ä" * 150, False),
])  # fmt: skip
def test_names_that_may_become_files(name: str, *, usable: bool) -> None:
    assert usable_id_path(name) is usable
