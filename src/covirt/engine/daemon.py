# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The life of the engine: build the parts, serve, and stop."""

import logging
import os

from covirt import __version__
from covirt.common import log as logs
from covirt.common.config import config_json
from covirt.common.daemon_lock import acquire_daemon_lock
from covirt.common.exit_status import exit_status
from covirt.common.notify import notify_systemd
from covirt.common.root import Root
from covirt.common.stop_signals import StopSignals
from covirt.engine.config import EngineConfig, load_engine_config

log = logging.getLogger(__name__)

_PROGRAM = "covirt-engine"


def show_config(root_path: str) -> int:
    """Print the effective configuration."""
    return exit_status(_PROGRAM, lambda: print(config_json(load_engine_config(Root(root_path)))))  # noqa: T201 - this is what was asked for


def run_daemon(root_path: str, log_level: str | None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    return exit_status(_PROGRAM, lambda: _run(Root(root_path), log_level))


def _run(root: Root, log_level: str | None) -> None:
    os.umask(0o077)  # the database makes its files itself
    config = load_engine_config(root)
    logs.configure(log_level or config.log_level)
    _quieten()
    stop = StopSignals()
    with acquire_daemon_lock(root, _PROGRAM):
        _serve(root, config, stop)


def _serve(root: Root, config: EngineConfig, stop: StopSignals) -> None:
    from covirt.engine.services import Engine

    log.info("Starting covirt-engine version=%s root=%s", __version__, root.path)
    engine = Engine(root, config)
    try:
        engine.start()
        notify_systemd("READY=1")
        log.info("Ready port=%d", engine.port)
        stop.wait()
        log.info("Stopping")
        notify_systemd("STOPPING=1")
    finally:
        engine.stop()


def _quieten() -> None:
    """Of libraries that tell at length what the engine tells in a line."""
    for name in ("alembic", "uvicorn", "asyncio", "multipart"):
        logging.getLogger(name).setLevel(logging.WARNING)
