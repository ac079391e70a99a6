# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of processes that have ended and that nobody asks about."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from covirt.oci.execution import ExecEnd
from covirt.virtocid.driver.agent.captured import CapturedProcess, Processes


@dataclass
class Process:
    """In the place of a real one."""

    kept_bytes: int
    end: ExecEnd | None = field(default_factory=lambda: ExecEnd(exit_code=0))


def known(*processes: Process) -> list[int]:
    """Which of them, started one after the other, can still be asked about."""
    kept = Processes()
    for number, process in enumerate(processes):
        kept.add(number, cast(CapturedProcess, process), captures=True)
    return [number for number in range(len(processes)) if kept.status(number)]


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        pytest.param([Process(0) for _ in range(20)], list(range(4, 20)), id="number"),
        pytest.param([Process(3_000_000) for _ in range(6)], [4, 5], id="bytes"),
        pytest.param([Process(1), Process(20_000_000)], [1], id="newest"),
        pytest.param([Process(3_000_000, None) for _ in range(20)], list(range(20)), id="running"),
    ],
)
def test_ends_that_nobody_asks_for_do_not_pile_up(processes: list[Process], expected: list[int]) -> None:
    assert known(*processes) == expected
