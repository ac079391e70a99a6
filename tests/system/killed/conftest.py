# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The daemon of these tests has a runtime that stands still where it is told to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.freezing_runtime import FreezingRuntime, freezing_runtime
from tests.support.roots import new_directory
from tests.support.virtocid import Virtocid, serve_virtocid


@pytest.fixture(scope="module")
def runtime() -> Iterator[FreezingRuntime]:
    with new_directory() as directory:
        yield freezing_runtime(directory)


@pytest.fixture(scope="module")
def virtocid_daemon(busybox_layout: Path, runtime: FreezingRuntime) -> Iterator[Virtocid]:
    with serve_virtocid(busybox_layout, configuration=runtime.configuration) as running:
        yield running
