# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for a descriptor ends with something to read, with its end, or with the time."""

import contextlib
import fcntl
import os
import resource
from collections.abc import Iterator

import pytest

from covirt.common.readable import readable_within

_ABOVE_SELECT = 1100


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_something_to_read(pipe: tuple[int, int]) -> None:
    assert not readable_within(pipe[0], 0)
    os.write(pipe[1], b"x")
    assert readable_within(pipe[0], 30)


def test_the_end_of_it(pipe: tuple[int, int]) -> None:
    os.close(pipe[1])
    assert readable_within(pipe[0], 30)


def test_time_is_up(pipe: tuple[int, int]) -> None:
    assert not readable_within(pipe[0], 0.01)
    assert not readable_within(pipe[0], -1)


def test_a_number_that_select_refuses(pipe: tuple[int, int]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * _ABOVE_SELECT, hard), hard))
    high = fcntl.fcntl(pipe[0], fcntl.F_DUPFD_CLOEXEC, _ABOVE_SELECT)
    try:
        os.write(pipe[1], b"x")
        assert readable_within(high, 30)
    finally:
        os.close(high)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
