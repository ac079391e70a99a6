# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Nobody fills the log by connecting in a loop."""

import logging

import pytest

from covirt.common.complaints import Complaints


def test_a_minute_has_so_many_lines_and_the_next_one_tells_of_the_others(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    complaints = Complaints(logging.getLogger("complaints"), clock=lambda: now)
    for number in range(50):
        complaints.warning("Client refused number=%d", number)
    assert caplog.messages == [f"Client refused number={number}" for number in range(20)]
    now = 161.0
    complaints.warning("Client refused number=%d", 50)
    assert caplog.messages[20:] == ["Warnings about clients were left out count=30", "Client refused number=50"]
    now = 300.0
    complaints.warning("Client refused number=%d", 51)
    assert caplog.messages[22:] == ["Client refused number=51"]
