# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What containers write about themselves, read strictly."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.virtocid.driver.agent.filesystems import own_mounts
from covirt.virtocid.driver.agent.texts import decoded, os_release, shown
from covirt.virtocid.driver.agent.utmp import logged_in


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("NAME=box", "box"),
        ('NAME="A B"', "A B"),
        ("NAME='A $B'", "A $B"),
        ('NAME="a\\"b"', 'a"b'),
        ("  NAME=box  ", "box"),
        ("#NAME=box", None),
        ("NAME=", None),
        ('NAME="box', None),
        ("NAME=a b", None),
        ("NAME=a\x1b[2Jb", None),
        ("NAME=" + "x" * 257, None),
        ("export NAME=box", None),
        ("name=box", None),
    ],
)
def test_os_release(line: str, expected: str | None) -> None:
    assert os_release(line.encode()).get("NAME") == expected


def test_os_release_tells_only_what_is_asked_for() -> None:
    assert os_release(b"ID=a\nHOME_URL=x\nID=b\nVERSION_ID=1\n") == {"ID": "b", "VERSION_ID": "1"}


@given(st.binary(max_size=2000))
def test_os_release_of_anything(data: bytes) -> None:
    for value in os_release(data).values():
        assert shown(value) == value


def record(user: bytes, *, kind: int = 7, seconds: int = 5, microseconds: int = 0) -> bytes:
    form = "<h2xi32s4s32s256shhiii16s20x"
    return struct.pack(form, kind, 1, b"", b"", user, b"", 0, 0, 0, seconds, microseconds, b"")


def test_utmp() -> None:
    data = b"".join(
        (
            record(b"ada", seconds=9),
            record(b"ada", seconds=4, microseconds=500_000),
            record(b"gone", kind=8),
            record(b""),
            record(b"two words"),
            record(b"\xff"),
            record(b"\x1b[2J"),
            record(b"old", seconds=-1),
            record(b"odd", microseconds=1_000_000),
            record(b"u" * 32),
            record(b"cut off")[:100],
        )
    )
    assert logged_in(data, "x86_64") == {"ada": 4.5, "u" * 32: 5.0}
    assert logged_in(data, "pdp11") == {}
    wide = struct.pack("<h2xi32s4s32s256shhqqq16s20x4x", 7, 1, b"", b"", b"eve", b"", 0, 0, 0, 1 << 33, 0, b"")
    assert logged_in(wide, "aarch64") == {"eve": float(1 << 33)}


@given(st.binary(max_size=4000), st.sampled_from(["x86_64", "aarch64"]))
def test_utmp_of_anything(data: bytes, machine: str) -> None:
    for name in logged_in(data, machine):
        assert name.isprintable()


def line(target: str, kind: str, source: str = "x") -> bytes:
    return f"1 2 0:3 / {target} rw,nosuid shared:1 - {kind} {source} rw".encode()


def test_mounts_of_a_container() -> None:
    table = [
        line("/", "overlay", "overlay"),
        line("/proc", "proc"),
        line("/proc/kcore", "tmpfs"),
        line("/dev/shm", "tmpfs"),
        line("/sys/fs/cgroup", "tmpfs"),
        line("/sysadmin", "ext4", "/dev/loop7"),
        line("/srv/a\\040b\\012c", "ext4", "/dev/loop8"),
        line("/hidden", "ext4"),
        line("/hidden", "fusectl"),
        line("/twice", "ext4"),
        line("/twice", "tmpfs"),
        line("/" + "x" * 2000, "tmpfs"),
        b"",
        b"not a line",
        b"1 2 0:3 / /broken",
        "1 2 0:3 / /\xff\xfe rw - ext4 /dev/loop9 rw".encode("latin-1"),
    ]
    found = {decoded(entry.target): entry.filesystem for entry in own_mounts(table)}
    assert found == {
        "/": "overlay",
        "/sysadmin": "ext4",
        "/srv/a b\nc": "ext4",
        "/twice": "tmpfs",
        "/\ufffd\ufffd": "ext4",
    }


@given(st.lists(st.binary(max_size=100), max_size=200))
def test_mounts_of_anything(table: list[bytes]) -> None:
    assert len(own_mounts(table)) <= 100
