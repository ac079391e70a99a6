# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The life of the agent: build the parts, recover, serve, and stop without touching a guest."""

import logging

from covirt import __version__
from covirt.common import daemon
from covirt.common.files import make_directory
from covirt.common.metrics_server import MetricsServer
from covirt.common.notify import notify_systemd
from covirt.common.root import Root
from covirt.common.stop_signals import StopSignals
from covirt.host.config import HostConfig, load_host_config

log = logging.getLogger(__name__)

_PROGRAM = "covirt-host"


def show_config(root_path: str) -> int:
    """Print the effective configuration."""
    return daemon.show_config(_PROGRAM, root_path, load_host_config)


def run_daemon(root_path: str, log_level: str | None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    return daemon.run_daemon(_PROGRAM, root_path, log_level, load=load_host_config, serve=_serve)


def _serve(root: Root, config: HostConfig, stop: StopSignals) -> None:
    from covirt.host.agent import Agent
    from covirt.host.metrics import page_maker

    log.info("Starting covirt-host version=%s root=%s id=%s", __version__, root.path, root.id)
    make_directory(root.state_dir / "host", mode=0o700)
    make_directory(root.run_dir / "host", mode=0o711)
    agent = Agent(root, config)
    metrics = MetricsServer(config.metrics.listen, page_maker(agent.metric_sources), name=_PROGRAM)
    try:
        metrics.start()
        agent.start()
        notify_systemd("READY=1")
        log.info("Ready")
        stop.wait()
        log.info("Stopping; guests go on")
        notify_systemd("STOPPING=1")
    finally:
        metrics.stop()
        agent.stop()
