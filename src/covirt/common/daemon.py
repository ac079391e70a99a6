# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The life that all daemons have in common: configuration, log, limits, one of them a root, and an orderly end."""

import ctypes
import os
import resource
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from covirt.common import log as logs
from covirt.common.config import config_json
from covirt.common.daemon_lock import acquire_daemon_lock
from covirt.common.exit_status import exit_status
from covirt.common.root import Root
from covirt.common.stop_signals import StopSignals

_OPEN_FILES: Final = 65536
_PR_SET_DUMPABLE: Final = 4


class DaemonConfig(Protocol):
    @property
    def log_level(self) -> str: ...


Config = TypeVar("Config", bound=DaemonConfig)


def show_config(program: str, root_path: str, load: Callable[[Root], DaemonConfig]) -> int:
    """Print the effective configuration; the exit status."""
    return exit_status(program, lambda: print(config_json(load(Root(root_path)))))  # noqa: T201 - this is what was asked for


def run_daemon(
    program: str,
    root_path: str,
    log_level: str | None,
    *,
    load: Callable[[Root], Config],
    serve: Callable[[Root, Config, StopSignals], None],
) -> int:
    """Let it serve until SIGTERM or SIGINT; the exit status."""

    def work() -> None:
        root = Root(root_path)
        config = load(root)
        logs.configure(log_level or config.log_level)
        allow_many_files()
        keep_memory_to_itself()
        stop = StopSignals()
        with acquire_daemon_lock(root, program):
            serve(root, config, stop)

    return exit_status(program, work)


def keep_memory_to_itself() -> None:
    """No core dump, and no other process of the same user that reads its memory: secrets pass through it.

    A limit for core dumps would be the containers' too; this ends with exec.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(ctypes.c_int(_PR_SET_DUMPABLE), ctypes.c_ulong(0), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def allow_many_files() -> None:
    """A pidfd for each container, and clients and files beside: a shell's soft limit of 1024 is soon reached."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
