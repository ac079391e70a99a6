# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that starts a machine, and kills itself where it is told to.

``python -m tests.support.killed_start URL DIRECTORY HOST [VM]``; COVIRT_KILL names the place: "after VM.create".
Without a machine it only carries on what was under way. The host is played, and keeps its guests in DIRECTORY.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from covirt.common.errors import Error
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.runner import Commands
from covirt.engine.commands.services import CommandServices
from covirt.engine.commands.table import COMMANDS
from covirt.engine.commands.vms.run import RunVm
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.store.store import Store
from covirt.rpc.jsonrpc import Json
from tests.support.acting_host import ActingHost
from tests.support.vaults import new_vault


class MortalHosts(FakeHosts):
    """Everything that is asked is written down before it is done, and the guests after it."""

    def __init__(self, directory: Path, host_id: str, kill: str) -> None:
        super().__init__(up={host_id})
        self._guests, self._asked, self._kill = directory / "guests", directory / "asked", kill
        self.acting = ActingHost(self)
        if self._guests.exists():
            self.acting.guests.update(json.loads(self._guests.read_text()))
            self.acting.macs.update({vm_id: set() for vm_id in self.acting.guests})

    def call(
        self,
        host_id: str,
        verb: str,
        params: Mapping[str, Json] | None = None,
        *,
        flow_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Json:
        self._killed(f"before {verb}")
        try:
            answer = super().call(host_id, verb, params, flow_id=flow_id, timeout_seconds=timeout_seconds)
            with self._asked.open("a") as asked:
                asked.write(f"{verb}\n")
        finally:
            self._guests.write_text(json.dumps(self.acting.guests))
        self._killed(f"after {verb}")
        return answer

    def _killed(self, place: str) -> None:
        if self._kill == place:
            os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, directory: str, host_id: str, vm_id: str = "") -> None:
    store = Store.open(url)
    hosts = MortalHosts(Path(directory), host_id, os.environ.get("COVIRT_KILL", ""))
    hosts.acting.fails = os.environ.get("COVIRT_FAILS", "")
    commands = Commands(CommandServices(store=store, hosts=hosts, vault=new_vault()), COMMANDS, database_url=url)
    commands.start()
    try:
        if vm_id:
            commands.run(Asked.system("kill"), RunVm(vm_id=vm_id), wait_seconds=60)
        while running(store):
            time.sleep(0.05)
    except Error as error:
        print(error)  # noqa: T201 - it is a program
    commands.stop()
    store.close()


def running(store: Store) -> bool:
    with store.read() as session:
        return bool(session.commands.running())


if __name__ == "__main__":
    main(*sys.argv[1:])
