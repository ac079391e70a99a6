# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The demo that was kept running: where it is, how to enter it, how to end it."""

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from tests.support.run_state import RunRecord, remove_run, state_dir
from tools.demo.errors import DoesNotEnd, NothingKept

NAME_PREFIX: Final = "covirt-demo-"
_STATE_FILE: Final = "kept.json"
_END_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDemo:
    """A running demo: its record, and PID 1 of its namespaces as the machine sees it."""

    record: Path
    init_pid: int


def remember(record: RunRecord, *, init_pid: int) -> None:
    """Write down that the demo stays."""
    (record.directory / _STATE_FILE).write_text(json.dumps({"init_pid": init_pid}))


def find() -> KeptDemo | None:
    """The kept demo, if there is one. A record whose lock is free belongs to a dead one."""
    for path in state_dir().glob(f"{NAME_PREFIX}*/{_STATE_FILE}"):
        record = path.parent.with_name(f"{path.parent.name}.json")
        if _is_locked(record):
            return KeptDemo(record=record, init_pid=int(json.loads(path.read_text())["init_pid"]))
    return None


def enter(command: Sequence[str]) -> NoReturn:
    """Become ``command`` inside the demo's namespaces. Raises NothingKept."""
    demo = find()
    if demo is None:
        raise NothingKept
    programs = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": "/tmp"}  # noqa: S108
    argv = ["nsenter", f"--target={demo.init_pid}", "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup"]
    os.execvpe(argv[0], [*argv, "--", *command], environment)  # noqa: S606


def stop() -> None:
    """End the kept demo and remove what it had on the machine. Raises NothingKept, DoesNotEnd."""
    demo = find()
    if demo is None:
        raise NothingKept
    with contextlib.suppress(ProcessLookupError):
        os.kill(demo.init_pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while _is_locked(demo.record):
        if time.monotonic() > deadline:
            raise DoesNotEnd(pid=demo.init_pid)
        time.sleep(0.02)
    remove_run(demo.record)


def _is_locked(record: Path) -> bool:
    try:
        with record.open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False
