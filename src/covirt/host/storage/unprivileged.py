# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that read what strangers wrote (disk images) run as the owner of storage files, never as root.

A child does not outlive the thread that started it unless it says so: a copy that goes on after the agent was killed
would write into a volume that the next agent takes back.
"""

import os
import signal
from collections.abc import Sequence
from typing import Final

from covirt.common.process import Argument

# Vdsm's user and group on every oVirt host, and so the owner of every file in a storage domain.
STORAGE_UID: Final = 36
STORAGE_GID: Final = 36


def as_storage_user(argv: Sequence[Argument], *, outlives: bool = False) -> list[Argument]:
    """The command, run by setpriv(1) as 36:36 where we are root."""
    options = [] if outlives else [f"--pdeathsig={signal.SIGKILL.name.removeprefix('SIG')}"]
    if os.geteuid() == 0:
        options += [f"--reuid={STORAGE_UID}", f"--regid={STORAGE_GID}", "--clear-groups", "--no-new-privs"]
    return ["setpriv", *options, "--", *argv]


def dies_with_parent(argv: Sequence[Argument]) -> list[Argument]:
    """The command, told by SIGTERM to end when the thread that started it does."""
    return ["setpriv", "--pdeathsig=TERM", "--", *argv]
