# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An operation whose steps make files, in a process that kills itself where it is told to.

``python -m tests.support.tower URL DIRECTORY [build HEIGHT FAILS_AT|forget]``; FAILS_AT below 0 is a bug at its end.
COVIRT_KILL names the place of a kill, as in "after:2"; COVIRT_KEY is a request's key, and what it asks for. Without
``build`` it only carries on what was under way. It prints what came of it as JSON.
"""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

from dbos import DBOS

from covirt.common.errors import Conflict, Error, Unavailable
from covirt.engine.commands import flow
from covirt.engine.commands.asked import Asked, Repeatable
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start, by_action
from covirt.engine.commands.runner import Commands
from covirt.engine.commands.services import CommandServices
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.store.store import Store
from tests.support.vaults import new_vault

PLACE: Final = "7d3c2a10-0000-4000-8000-000000000001"


class Shaken(Conflict):
    template = "The tower cannot be built. Stone {number} does not hold."


class Foggy(Unavailable):
    template = "The tower is not to be seen now."


def killed_at(place: str) -> None:
    if os.environ.get("COVIRT_KILL") == place:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTower(Command):
    action: ClassVar = "BuildTower"

    directory: str
    height: int
    fails_at: int = 0

    def begin(self, start: Start) -> None:
        start.lock(PLACE, "a tower is being built")
        start.describe(f"Building a tower of {self.height}", {PLACE})

    def run(self, steps: Flow) -> JsonValue:
        placed = [
            steps.step(f"Stone {number}", self._place, number, undo=self._take_away)
            for number in range(1, self.height + 1)
        ]
        return {"stones": placed}

    def succeeded(self, finish: Finish) -> None:
        del finish
        if self.fails_at < 0:
            raise ZeroDivisionError
        self._note("built")
        killed_at("end")  # the transaction is lost

    def failed(self, finish: Finish, reason: str) -> None:
        del finish
        self._note(f"failed {reason}")

    def _place(self, doing: Doing, number: int) -> JsonValue:
        killed_at(f"before:{number}")
        doing.progress(50)
        if number == self.fails_at:
            raise Shaken(number=number)
        (Path(self.directory) / f"stone{number}").touch()
        self._note(f"placed {number}")
        killed_at(f"after:{number}")
        return number

    def _take_away(self, doing: Doing, number: int) -> JsonValue:
        del doing
        killed_at(f"undo:{number}")
        (Path(self.directory) / f"stone{number}").unlink(missing_ok=True)
        self._note(f"taken {number}")
        fog, rock = Path(self.directory) / "fog", Path(self.directory) / "rock"
        if rock.exists():
            raise Shaken(number=number)
        left = int(fog.read_text()) if fog.exists() else 0
        if left:
            fog.write_text(str(left - 1))
            raise Foggy
        return None

    def _note(self, text: str) -> None:
        with (Path(self.directory) / "notes").open("a") as notes:
            notes.write(f"{text}\n")


class Killed(Commands):
    """At a place between its own steps."""

    @staticmethod
    def _begin_workflow(command_id: str) -> None:
        killed_at("begun")
        Commands._begin_workflow(command_id)


def main(url: str, directory: str, *order: str) -> None:
    store = Store.open(url)
    services = CommandServices(store=store, hosts=FakeHosts(), vault=new_vault())
    flow._FIRST_PAUSE_SECONDS = flow._LONGEST_PAUSE_SECONDS = 0.01  # type: ignore[misc]
    commands = Killed(services, by_action([BuildTower]), database_url=url)
    commands.start()
    answer: dict[str, JsonValue] = {}
    if order == ("forget",):
        answer["forgotten"] = commands.forget(before=datetime.now(UTC) + timedelta(days=1))
        answer["kept"] = len(DBOS.list_workflows())
    elif order:
        command = BuildTower(directory=directory, height=int(order[1]), fails_at=int(order[2]))
        try:
            answer["result"] = commands.run(_asked(), command, wait_seconds=60).result
        except Error as error:
            answer["error"] = [type(error).__mro__[1].__name__, str(error)]
    while running(store):
        time.sleep(0.05)
    commands.stop()
    store.close()
    print(json.dumps(answer))  # noqa: T201 - it is a program


def _asked() -> Asked:
    asked, key = Asked.system("tower"), os.environ.get("COVIRT_KEY", "")
    key, _, request = key.partition(" ")
    return replace(asked, repeatable=Repeatable(key=key, request=request)) if key else asked


def running(store: Store) -> bool:
    with store.read() as session:
        return bool(session.commands.running())


if __name__ == "__main__":
    main(*sys.argv[1:])
