# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Operations wait for the database, and not all requests wait for operations."""

import threading
from typing import cast

import pytest

from covirt.engine.commands import flow
from covirt.engine.commands.command import Interrupted
from covirt.engine.commands.runner import Commands
from covirt.engine.commands.services import CommandServices
from covirt.engine.store.errors import DatabaseBusy


def test_a_busy_database_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "_DATABASE_PAUSE_SECONDS", 0.01)
    stopping, failures = threading.Event(), [DatabaseBusy(), DatabaseBusy()]

    def write() -> str:
        if failures:
            raise failures.pop()
        return "written"

    assert flow.patiently(stopping, write) == "written"
    failures.append(DatabaseBusy())
    stopping.set()
    with pytest.raises(Interrupted):
        flow.patiently(stopping, write)


def test_somebody_is_left_to_answer() -> None:
    commands = Commands(cast(CommandServices, None), {}, database_url="", waiters=1)
    waited = []

    def wait() -> None:
        waited.append("first")
        commands._waited(lambda: waited.append("second"))

    commands._waited(wait)
    commands._waited(lambda: waited.append("third"))
    assert waited == ["first", "third"]
