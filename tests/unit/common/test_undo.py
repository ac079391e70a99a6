# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What was done is taken back, newest first, whatever went wrong."""

import logging

import pytest

from covirt.common.undo import UndoStack, undo_on_failure


def test_success_undoes_nothing() -> None:
    undone: list[str] = []
    with undo_on_failure() as undo:
        undo.add("first", lambda: undone.append("first"))
    undo.undo()
    assert undone == []


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_undoes_newest_first_and_goes_on(failure: type[BaseException]) -> None:
    undone: list[str] = []
    with pytest.raises(failure), undo_on_failure() as undo:  # noqa: PT012  # the failure comes after the steps
        undo.add("first", lambda: undone.append("first"))
        undo.add("second", lambda: undone.append("second"))
        raise failure
    assert undone == ["second", "first"]


def test_a_step_that_fails_is_logged_and_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    undone: list[str] = []

    def broken() -> None:
        raise OSError("busy")

    stack = UndoStack()
    stack.add("remove the first", lambda: undone.append("first"))
    stack.add("remove the second", broken)
    with caplog.at_level(logging.ERROR):
        stack.undo()
    assert undone == ["first"]
    assert "remove the second" in caplog.text


def test_a_step_runs_only_once() -> None:
    undone: list[str] = []
    stack = UndoStack()
    stack.add("first", lambda: undone.append("first"))
    stack.undo()
    stack.undo()
    assert undone == ["first"]
