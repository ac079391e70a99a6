# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A site's operations in processes of their own, which are killed after a given call of the host."""

import os
import signal
import sys

from covirt.common.process import run
from covirt.engine.commands.command import Command
from covirt.engine.store.plain import to_text
from tests.support.storage_site import Site


def run_engine(site: Site, *order: str, kill: int = 0) -> int:
    """How the process ended; it ends by itself when nothing is under way."""
    root = site.covirt_host.root.path
    argv = [sys.executable, "-m", "tests.support.transfer_engine", site.database_url, str(root)]
    argv += [str(site.covirt_host.port), site.hosts.host_id, *order]
    environment = {**os.environ, "COVIRT_KILL": str(kill)}
    return run(argv, timeout_seconds=100, check=False, environment=environment).status


def is_killed(site: Site, command: Command, kill: int) -> bool:
    """Whether it was killed on its way; after that it is at its end all the same."""
    status = run_engine(site, command.action, to_text(command), kill=kill)
    assert status in (0, -signal.SIGKILL)
    if status:
        assert run_engine(site) == 0
    return bool(status)
