# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What runs is asked to end, and stopped when it does not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from covirt.cli.up import guests
from covirt.cli.up.guests import shut_down_guests
from covirt.client.engine import EngineApi
from covirt.client.errors import EngineRefused


class Engine(EngineApi):
    """``stubborn`` ones take no notice of a shutdown."""

    def __init__(self, running: Mapping[str, str], *, stubborn: str = "") -> None:
        super().__init__("https://localhost", Path("/nowhere"))
        self.vms = {"off": "down"} | dict(running)
        self.stubborn = stubborn
        self.asked: list[str] = []

    def get(self, path: str) -> dict[str, Any]:
        assert path == "vms"
        return {"vm": [{"id": name, "name": name, "status": status} for name, status in self.vms.items()]}

    def post(self, path: str, body: Mapping[str, object], *, seconds: float = 60.0) -> dict[str, Any]:
        del seconds
        assert body == {}
        self.asked.append(path)
        _, name, action = path.split("/")
        if name != self.stubborn:
            self.vms[name] = "down"
        elif action == "stop":
            self.vms[name] = "down"
            raise EngineRefused(what="stop", reason="it ended meanwhile")
        return {}


def test_what_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(guests, "_LOOK_SECONDS", 0.01)
    engine, told = Engine({"web": "up", "shop": "powering_up"}, stubborn="shop"), list[str]()
    shut_down_guests(engine, told.append)
    assert engine.asked == ["vms/web/shutdown", "vms/shop/shutdown", "vms/shop/stop"]
    assert set(engine.vms.values()) == {"down"}
    assert told[-1] == "the engine has refused to stop: it ended meanwhile"


def test_nothing_runs() -> None:
    engine = Engine({})
    shut_down_guests(engine, pytest.fail)
    assert engine.asked == []
