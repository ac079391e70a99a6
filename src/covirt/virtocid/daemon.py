# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The life of the daemon: build the parts, recover, serve, and stop without touching a container."""

import grp
import logging
from pathlib import Path

from covirt import __version__
from covirt.common import daemon
from covirt.common.files import make_directory
from covirt.common.metrics_server import MetricsServer
from covirt.common.notify import notify_systemd
from covirt.common.root import Root
from covirt.common.stop_signals import StopSignals
from covirt.oci.bundle import require_passable
from covirt.virtocid.config import VirtocidConfig, load_virtocid_config
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import translate
from covirt.virtocid.driver.handlers.table import handler_table
from covirt.virtocid.driver.metrics import page_maker
from covirt.virtocid.driver.services import build_services
from covirt.virtocid.events import EventBus
from covirt.virtocid.server import VirtocidServer
from covirt.virtocid.settings import ServerSettings

log = logging.getLogger(__name__)

_PROGRAM = "virtocid"


def show_config(root_path: str) -> int:
    """Print the effective configuration."""
    return daemon.show_config(_PROGRAM, root_path, load_virtocid_config)


def run_daemon(root_path: str, log_level: str | None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    return daemon.run_daemon(_PROGRAM, root_path, log_level, load=load_virtocid_config, serve=_serve)


def _serve(root: Root, config: VirtocidConfig, stop: StopSignals) -> None:
    log.info("Starting virtocid version=%s root=%s id=%s", __version__, root.path, root.id)
    require_passable(_made(root))
    bus = EventBus()
    services = build_services(root, config, bus)
    for info in services.runtimes.infos.values():
        if info.usable:
            log.info("Runtime usable name=%s version=%s path=%s", info.name, info.version, info.path)
        else:
            log.warning("Runtime not usable name=%s reason=%s", info.name, info.reason)
    driver = Driver(services)
    server = VirtocidServer(
        root=root,
        handlers=handler_table(driver),
        translate=translate,
        bus=bus,
        group=_socket_group(config),
        settings=ServerSettings(connection_names=_names(config)),
    )
    metrics = MetricsServer(config.metrics.listen, page_maker(driver.domains, services.counters), name=_PROGRAM)
    try:
        driver.start()
        metrics.start()
        server.start()
        notify_systemd("READY=1")
        log.info("Ready")
        driver.recovery.autostart()
        stop.wait()
        log.info("Stopping; containers go on")
        notify_systemd("STOPPING=1")
    finally:
        metrics.stop()
        server.stop()
        driver.close()


def _made(root: Root) -> Path:
    make_directory(root.run_dir)
    make_directory(root.state_dir)
    return root.run_dir


def _names(config: VirtocidConfig) -> tuple[str, ...]:
    """The first name is what a client is told when it asks, so it must not be the empty one."""
    return tuple(sorted(config.server.connection_names, key=lambda name: name != "oci:///system"))


def _socket_group(config: VirtocidConfig) -> str | None:
    """The configured group where the host has it: without one the socket is root's alone, which is the safe side."""
    name = config.server.socket_group
    if not name:
        return None
    try:
        grp.getgrnam(name)
    except KeyError:
        log.warning("The group of the socket does not exist, so only root may connect group=%s", name)
        return None
    return name
