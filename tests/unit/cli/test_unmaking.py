# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an unfinished command has made is gone, also where its answer never came."""

from collections.abc import Mapping
from typing import Any

import pytest

from covirt.cli.unmaking import remove_machine, unanswered_machine
from covirt.client.engine import EngineApi
from covirt.client.errors import EngineSilent, RefusedAsWritten, RefusedNow
from covirt.client.resources import Resources

_ADDED = {"code": "34", "vm": {"id": "v"}}
_ATTACHED = {"disk_attachment": [{"id": "old"}, {"id": "new"}]}


class Engine(EngineApi):
    """A machine v with two disks, which is busy the first ``busy`` times that somebody removes it."""

    def __init__(
        self, *, events: tuple[Mapping[str, Any], ...] = (_ADDED,), busy: int = 0, silent: bool = False
    ) -> None:
        super().__init__("https://engine", None, correlation_id="covirt-7")
        self.removed: list[str] = []
        self._events = events
        self._busy = busy
        self._silent = silent

    def get(self, path: str) -> dict[str, Any]:
        if path.startswith("events"):
            assert path == "events?search=correlation_id%3Dcovirt-7"
            return {"event": list(self._events)}
        return _ATTACHED

    def delete(self, path: str) -> dict[str, Any]:
        if self._silent:
            raise EngineSilent(url=self.url, reason="gone")
        self._busy -= 1
        if self._busy >= 0:
            raise RefusedNow(what="remove", reason="it is locked")
        self.removed.append(path)
        return {}


def test_all_but_what_was_there() -> None:
    engine = Engine(busy=1)
    remove_machine(Resources(engine), "v", keep=("old",))
    assert engine.removed == ["vms/v?detach_only=true", "disks/new"]


def test_what_cannot_be_removed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    remove_machine(Resources(Engine(silent=True)), "v", keep=())
    assert capsys.readouterr().err.startswith("covirt: the machine v may be left in the engine at https://engine: ")


@pytest.mark.parametrize("error", [EngineSilent(url="https://engine", reason="slow"), KeyboardInterrupt()])
def test_made_without_an_answer(error: BaseException) -> None:
    engine = Engine()
    with pytest.raises(type(error)), unanswered_machine(Resources(engine)):
        raise error
    assert engine.removed[0] == "vms/v?detach_only=true"


def test_nothing_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covirt.cli.unmaking._ANSWER_SECONDS", 0.0)
    engine = Engine(events=({"code": "42", "vm": {"id": "other"}},))
    with pytest.raises(KeyboardInterrupt), unanswered_machine(Resources(engine)):
        raise KeyboardInterrupt
    with pytest.raises(RefusedAsWritten), unanswered_machine(Resources(Engine())):
        raise RefusedAsWritten(what="add", reason="no such cluster")
    assert engine.removed == []
