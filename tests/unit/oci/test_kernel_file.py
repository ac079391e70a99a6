# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Files that stay open: what they say is always the present, and they do not use up the descriptors."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covirt.oci.kernel_file import KernelFile, field, number


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def descriptor_limit(limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_change_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "pids.current"
    path.write_text("1\n")
    file = KernelFile(os.fsencode(path))
    assert file.read() == b"1\n"
    path.write_text("23\n")
    assert file.read() == b"23\n"


def test_the_kernel_writes_it_anew_at_each_reading() -> None:
    file = KernelFile(b"/proc/self/comm")
    assert file.read() == Path("/proc/self/comm").read_bytes()
    name = file.read()
    try:
        Path("/proc/self/comm").write_bytes(b"another")
        assert file.read() == b"another\n"
    finally:
        Path("/proc/self/comm").write_bytes(name or b"")


def test_a_long_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "io.stat"
    path.write_bytes(b"x" * 9000)
    assert KernelFile(os.fsencode(path)).read() == b"x" * 9000


def test_a_file_may_come_later(tmp_path: Path) -> None:
    path = tmp_path / "memory.max"
    file = KernelFile(os.fsencode(path))
    assert file.read() is None
    path.write_text("max\n")
    assert number(file.read()) is None
    assert file.read() == b"max\n"


def test_it_is_closed_with_its_last_user(tmp_path: Path) -> None:
    path = tmp_path / "pids.max"
    path.write_text("7\n")
    before = open_descriptors()
    file = KernelFile(os.fsencode(path))
    assert open_descriptors() == before + 1
    del file
    assert open_descriptors() == before


def test_half_of_the_descriptors_are_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "pids.max"
    path.write_text("7\n")
    limit = 2 * open_descriptors() + 20
    with descriptor_limit(limit):
        files = [KernelFile(os.fsencode(path)) for _ in range(100)]
        assert {file.read() for file in files} == {b"7\n"}
        assert open_descriptors() < limit // 2 + 5, "a few are not its own"


def test_fields() -> None:
    text = b"anon 8192\nfile 4096\nfile_mapped 12"
    assert [field(text, key) for key in (b"\nanon ", b"\nfile ", b"\nfile_mapped ", b"\nshmem ")] == [
        8192,
        4096,
        12,
        None,
    ]
