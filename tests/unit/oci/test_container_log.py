# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The log format, and its end read without its beginning."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.oci.container_log import LogLine, parse_log, read_log_tail
from covirt.oci.monitor import MonitorPaths, log_tail


def line(number: int, text: str = "") -> str:
    return f"2026-11-22T10:00:00.{number:09}+00:00 stdout F {number}{text}\n"


def test_lines_are_taken_apart() -> None:
    data = b"2026-11-22T10:00:00.1+00:00 stderr P half a\n2026-11-22T10:00:00.2+00:00 stdout F \n"
    assert list(parse_log(data)) == [
        LogLine(time="2026-11-22T10:00:00.1+00:00", stream="stderr", partial=True, text="half a"),
        LogLine(time="2026-11-22T10:00:00.2+00:00", stream="stdout", partial=False, text=""),
    ]


@given(st.binary())
def test_damage_is_left_out(data: bytes) -> None:
    for found in parse_log(data):
        assert found.stream in {"stdout", "stderr"}


@pytest.mark.parametrize("count", [0, 1, 3, 5000, 50000])
def test_the_tail_of_a_long_log(tmp_path: Path, count: int) -> None:
    path = tmp_path / "log"
    path.write_text("".join(line(number, "x" * (number % 100)) for number in range(20000)))
    tail = read_log_tail(path, count)
    expected = range(max(0, 20000 - count), 20000)
    assert [int(found.text.rstrip("x")) for found in tail] == list(expected)


def test_no_log_has_no_lines(tmp_path: Path) -> None:
    assert read_log_tail(tmp_path / "absent", 5) == ()


def test_a_line_that_is_being_written_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line(1) + "2026-11-22T10:00:00.2+00:00 stdout F unfini")
    assert [found.text for found in read_log_tail(path, 5)] == ["1"]


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(line(1))
    (tmp_path / "log").symlink_to("secret")
    with pytest.raises(OSError, match="symbolic link"):
        read_log_tail(tmp_path / "log", 5)


def test_the_tail_reaches_into_the_log_put_aside(tmp_path: Path) -> None:
    paths = MonitorPaths(directory=tmp_path, bundle=tmp_path, log=tmp_path / "log")
    (tmp_path / "log.1").write_text("".join(map(line, range(10))))
    (tmp_path / "log").write_text("".join(map(line, range(10, 12))))
    assert [found.text for found in log_tail(paths, 4)] == ["8", "9", "10", "11"]
