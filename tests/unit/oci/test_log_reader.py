# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A log read from some line on, and further while it grows and is put aside."""

import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from covirt.oci.log_reader import BadLogTime, LogReader, parse_since

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def line(number: int, text: str = "", *, stream: str = "stdout", mark: str = "F") -> str:
    time = (NOW + timedelta(seconds=number)).isoformat(timespec="seconds").replace("+00:00", ".123456789+00:00")
    return f"{time} {stream} {mark} {text or f'line {number}'}\n"


def write(path: Path, *lines: str) -> None:
    with path.open("a") as stream:
        stream.write("".join(lines))


def read_all(reader: LogReader) -> str:
    text = b""
    while more := reader.read():
        text += more
    return text.decode()


def text_of(path: Path, since: datetime | None = None, tail: int | None = None, *, timestamps: bool = False) -> str:
    reader = LogReader(path, since=since, tail=tail, timestamps=timestamps)
    try:
        return read_all(reader) + reader.held().decode()
    finally:
        reader.close()


def numbers(text: str) -> list[int]:
    return [int(each.split()[-1]) for each in text.splitlines()]


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "console.log"


def test_everything_in_order_over_files(log: Path) -> None:
    for name, first in (("console.log.2", 0), ("console.log.1", 3), ("console.log", 6)):
        write(log.with_name(name), *(line(number) for number in range(first, first + 3)))
    assert numbers(text_of(log)) == list(range(9))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 8, 9, 100])
def test_tail_reaches_into_older_files(log: Path, count: int) -> None:
    for name, first in (("console.log.2", 0), ("console.log.1", 3), ("console.log", 6)):
        write(log.with_name(name), *(line(number) for number in range(first, first + 3)))
    assert numbers(text_of(log, tail=count)) == list(range(9))[9 - min(count, 9) :]


def test_tail_of_a_large_log(log: Path) -> None:
    write(log, *(line(number) for number in range(30_000)))
    assert numbers(text_of(log, tail=5000)) == list(range(25_000, 30_000))


def test_partial_lines_are_joined_and_count_once(log: Path) -> None:
    write(log, line(1), line(2, "one ", mark="P"), line(3, "err", stream="stderr"), line(4, "two ", mark="P"))
    write(log, line(5, "three"), line(6))
    assert text_of(log) == "line 1\nerr\none two three\nline 6\n"
    assert text_of(log, tail=1) == "line 6\n"


def test_a_line_without_an_end_comes_at_the_end(log: Path) -> None:
    write(log, line(1), line(2, "login: ", mark="P"))
    assert text_of(log) == "line 1\nlogin: "


def test_times(log: Path) -> None:
    write(log, *(line(number) for number in range(10)))
    assert numbers(text_of(log, since=NOW + timedelta(seconds=7))) == [7, 8, 9]
    assert numbers(text_of(log, since=NOW + timedelta(seconds=2), tail=3)) == [7, 8, 9]
    assert numbers(text_of(log, since=NOW + timedelta(seconds=8), tail=5)) == [8, 9]
    assert text_of(log, tail=1, timestamps=True) == "2026-05-01T12:00:09.123456789+00:00 line 9\n"


def test_bytes_come_as_they_were_written(log: Path) -> None:
    log.write_bytes(line(1).encode().replace(b"line 1", b"\xff\xfe\x1b[1m\r"))
    reader = LogReader(log)
    assert reader.read() == b"\xff\xfe\x1b[1m\r\n"
    reader.close()


def test_damage_is_left_out(log: Path) -> None:
    write(log, line(1), "nonsense\n", "\n", "a b c d\n", line(2), "2026-05-01T12:00:01Z stdout F unfinish")
    assert numbers(text_of(log)) == [1, 2]


def test_following_over_rotations(log: Path) -> None:
    write(log, line(1))
    reader = LogReader(log)
    assert numbers(read_all(reader)) == [1]
    write(log, line(2))
    older = log.rename(log.with_name("console.log.1"))
    assert numbers(read_all(reader)) == [2]
    write(older, line(3))  # until conmon has begun the new one
    assert numbers(read_all(reader)) == [3]
    write(older, line(4))
    write(log, line(5))
    assert numbers(read_all(reader)) == [4, 5]
    reader.close()


def test_following_when_files_move_twice_meanwhile(log: Path) -> None:
    write(log, line(1))
    reader = LogReader(log)
    read_all(reader)
    for number in (2, 4):
        write(log, line(number))
        if number == 4:
            log.with_name("console.log.1").rename(log.with_name("console.log.2"))
        log.rename(log.with_name("console.log.1"))
        write(log, line(number + 1))
    assert numbers(read_all(reader)) == [2, 3, 4, 5]
    log.rename(log.with_name("console.log.1"))  # and the one that is read is thrown away
    log.with_name("console.log.2").unlink()
    write(log, line(6))
    assert numbers(read_all(reader)) == [6]
    reader.close()


def test_a_log_that_comes_later(log: Path) -> None:
    reader = LogReader(log, tail=5)
    assert reader.read() == b""
    write(log, line(1))
    assert numbers(read_all(reader)) == [1]
    reader.close()


def test_a_link_is_no_log(log: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(line(1))
    log.symlink_to("secret")
    assert text_of(log) == ""


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", NOW - timedelta(minutes=10)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("1.5s", NOW - timedelta(seconds=1.5)),
        ("2d", NOW - timedelta(days=2)),
        ("500ms", NOW - timedelta(seconds=0.5)),
        ("2026-05-01T12:00:00Z", NOW),
        ("2026-05-01T14:00:00.000000000+02:00", NOW),
        (str(NOW.timestamp()), NOW),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    assert parse_since(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "10 m", "m", "10x", "2026-13-01", "9" * 400, "9" * 30 + "d"])
def test_no_moments(text: str) -> None:
    with pytest.raises(BadLogTime):
        parse_since(text, now=NOW)


@pytest.mark.parametrize(("tail", "mark"), [(1, "P"), (1_000_000, "F")])
def test_looking_for_the_end_takes_little_memory(log: Path, tail: int, mark: str) -> None:
    """A container may write gigabytes before its log is put aside, and never end a line."""
    write(log, *(line(number, "x" * 8000, mark=mark) for number in range(2000)))
    assert peak_bytes(lambda: LogReader(log, tail=tail).close()) < 2 << 20


def test_tail_with_lines_of_all_lengths(log: Path) -> None:
    """Lines, and parts of lines, end everywhere in the blocks that are read."""
    texts = [f"{'y' * (number * 977 % 70_000)} line {number}" for number in range(100)]
    write(log, "damaged\n", *(
        line(number, text[:5], mark="P") + line(number, text[5:]) if number % 3 == 0 else line(number, text)
        for number, text in enumerate(texts)
    ), "damaged too\n")  # fmt: skip
    for tail in (1, 2, 7, 50, 99, 100, 101):
        assert text_of(log, tail=tail).splitlines() == texts[-tail:]
    write(log, line(100, "not whole")[:-1])
    assert text_of(log, tail=1).splitlines() == texts[-1:]
