# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The life of the engine: build the parts, serve, and stop."""

import logging
import os

from covirt import __version__
from covirt.common import daemon
from covirt.common.notify import notify_systemd
from covirt.common.root import Root
from covirt.common.stop_signals import StopSignals
from covirt.engine.config import EngineConfig, load_engine_config

log = logging.getLogger(__name__)

_PROGRAM = "covirt-engine"


def show_config(root_path: str) -> int:
    """Print the effective configuration."""
    return daemon.show_config(_PROGRAM, root_path, load_engine_config)


def run_daemon(root_path: str, log_level: str | None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    os.umask(0o077)  # the database makes its files itself
    return daemon.run_daemon(_PROGRAM, root_path, log_level, load=load_engine_config, serve=_serve)


def prepare(root_path: str, log_level: str | None) -> int:
    """Do what a first start does before it serves; the exit status."""
    os.umask(0o077)
    return daemon.run_daemon(_PROGRAM, root_path, log_level, load=load_engine_config, serve=_prepare)


def renew_secret_key(root_path: str, log_level: str | None) -> int:
    """Seal all secrets with a new key; the exit status."""
    os.umask(0o077)
    return daemon.run_daemon(_PROGRAM, root_path, log_level, load=load_engine_config, serve=_renew_secret_key)


def _renew_secret_key(root: Root, config: EngineConfig, stop: StopSignals) -> None:
    _prepare(root, config, stop)
    from covirt.engine.vault.vault import KEYS_FILE, Vault

    Vault.renew(root.state_dir / KEYS_FILE)
    _prepare(root, config, stop)  # as every start: what an older key has sealed is sealed anew


def _prepare(root: Root, config: EngineConfig, stop: StopSignals) -> None:
    del stop
    _quieten()
    from covirt.engine.services import Engine

    Engine(root, config).stop()
    log.info("Prepared root=%s", root.path)


def _serve(root: Root, config: EngineConfig, stop: StopSignals) -> None:
    _quieten()  # before they are imported: one of them tells of that, too
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
