# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine's operations on transfers beside a real host, killed between two calls of the host.

``python -m tests.support.transfer_engine URL ROOT PORT HOST [ACTION JSON]``. COVIRT_KILL is the number of calls after
which it is killed. Without an action it only carries on what was under way.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from covirt.engine.commands.asked import Asked
from covirt.engine.commands.runner import Commands
from covirt.engine.commands.services import CommandServices
from covirt.engine.commands.table import COMMANDS
from covirt.engine.store.plain import from_text
from covirt.engine.store.store import Store
from covirt.rpc.jsonrpc import Json
from tests.support.covirt_host import CovirtHost
from tests.support.one_host import OneHost
from tests.support.vaults import new_vault


class Mortal(OneHost):
    calls = 0

    def call(
        self,
        host_id: str,
        verb: str,
        params: Mapping[str, Json] | None = None,
        *,
        flow_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Json:
        answer = super().call(host_id, verb, params, flow_id=flow_id, timeout_seconds=timeout_seconds)
        self.calls += 1
        if str(self.calls) == os.environ.get("COVIRT_KILL"):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def main(url: str, root: str, port: str, host_id: str, *order: str) -> None:
    store = Store.open(url)
    host = cast(CovirtHost, SimpleNamespace(port=int(port), pki=Path(root) / "etc/pki/vdsm"))  # that runs already
    with Mortal(host_id, host).connected() as hosts:
        commands = Commands(CommandServices(store=store, hosts=hosts, vault=new_vault()), COMMANDS, database_url=url)
        commands.start()
        if order:
            commands.run(Asked.system("transfer"), from_text(COMMANDS[order[0]], order[1]), wait_seconds=60)
        while _is_busy(store):
            time.sleep(0.05)
        commands.stop()
    store.close()


def _is_busy(store: Store) -> bool:
    with store.read() as session:
        return bool(session.commands.running())


if __name__ == "__main__":
    main(*sys.argv[1:])
