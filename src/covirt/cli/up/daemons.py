# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The daemons of one machine, in the order in which they start."""

import grp
import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from covirt.cli.up.installation import NETWORK, Choices, Installation
from covirt.cli.up.systemd import Systemd
from covirt.common.daemon_lock import is_daemon_locked
from covirt.common.files import make_directory, write_atomic

LIBVIRTD: Final = "libvirtd"
VIRTOCID: Final = "virtocid"
ENGINE: Final = "covirt-engine"
HOST: Final = "covirt-host"
DHCP: Final = "dhcp"
SUPERVISOR: Final = "supervisor"

_LIBVIRT_SOCKETS: Final = Path("/run/libvirt")
_LINKS: Final = Path("/sys/class/net")
_SOCKET_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING: Final = "0A"
_NIC_NAMES: Final = ("eth", "en", "bond")
_LEASE: Final = "12h"


def _always() -> bool:
    return True


def _nobody() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """``may_run``: whether it has what it needs; one that runs without is ended. ``of_others``: whether somebody else
    has started one that serves this machine. ``answers``: whether it serves. ``optional``: where it may not run
    it is not missed. ``unit``: of systemd, when that runs it."""

    name: str
    argv: tuple[str, ...]
    may_run: Callable[[], bool] = _always
    of_others: Callable[[], bool] = _nobody
    answers: Callable[[], bool] = _always
    optional: bool = False
    unit: str = ""
    grace_seconds: float = 60.0


def daemons(installation: Installation, choices: Choices) -> tuple[Daemon, ...]:
    """Those that this machine has the programs for."""
    found = (*_libvirt(installation), *_ours(installation, choices), *_dhcp(installation, choices))
    systemd = Systemd.here()
    if systemd is None or installation.root.path != Path("/"):
        return found
    return tuple(_by_unit(daemon, systemd) for daemon in found)


def _by_unit(daemon: Daemon, systemd: Systemd) -> Daemon:
    unit = f"{daemon.name}.service"
    return replace(daemon, unit=unit) if systemd.loaded(unit) else daemon


def _libvirt(installation: Installation) -> Sequence[Daemon]:
    """libvirtd is the machine's, wherever the root is; without a service manager nobody but us starts it."""
    if shutil.which(LIBVIRTD) is None:
        return ()
    directory = installation.root.run_dir / "up"
    configuration = _libvirt_settings(installation)
    found = []
    for name, sock, extra in (
        ("virtlogd", "virtlogd-sock", ()),
        (LIBVIRTD, "libvirt-sock", ("--config", str(configuration))),
    ):
        answers = _connects(_LIBVIRT_SOCKETS / sock)
        argv = (name, *extra, "--pid-file", str(directory / f"{name}.pid"))
        found.append(Daemon(name=name, argv=argv, of_others=answers, answers=answers))
    return found


def _libvirt_settings(installation: Installation) -> Path:
    return installation.root.run_dir / "up/libvirtd.conf"


def write_libvirt_settings(installation: Installation) -> None:
    """For the libvirtd that we start. Who may open its socket is decided by a group: there may be no polkit."""
    text = 'auth_unix_ro = "none"\nauth_unix_rw = "none"\nunix_sock_rw_perms = "0770"\nunix_sock_ro_perms = "0777"\n'
    if any(group.gr_name == "libvirt" for group in grp.getgrall()):
        text += 'unix_sock_group = "libvirt"\n'
    path = _libvirt_settings(installation)
    make_directory(path.parent)
    write_atomic(path, text.encode(), mode=0o644, durable=False)


def _ours(installation: Installation, choices: Choices) -> Sequence[Daemon]:
    root = installation.root

    def daemon(name: str, answers: Callable[[], bool], may_run: Callable[[], bool] = _always) -> Daemon:
        argv = (installation.program(name), "--root", str(root.path))
        return Daemon(
            name=name, argv=argv, may_run=may_run, of_others=partial(is_daemon_locked, root, name), answers=answers
        )

    return (
        daemon(VIRTOCID, _connects(root.libvirt_dir / "virtocid-sock")),
        daemon(ENGINE, _listens(choices.engine_port)),
        daemon(HOST, _listens(choices.host_port), may_run=installation.certificate.exists),
    )


def _dhcp(installation: Installation, choices: Choices) -> Sequence[Daemon]:
    """Addresses and names for guests, on a bridge that no cable ends in: elsewhere they are others' to give."""
    if not choices.subnet or shutil.which("dnsmasq") is None:
        return ()
    network = ipaddress.IPv4Network(choices.subnet)
    argv = (
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--bind-dynamic",
        f"--interface={NETWORK}", "--except-interface=lo", "--dhcp-authoritative", "--no-hosts", "--no-ping",
        f"--dhcp-range={network[10]},{network[-2]},{network.netmask},{_LEASE}",
        f"--dhcp-leasefile={installation.leases_file}",
    )  # fmt: skip
    return (Daemon(name=DHCP, argv=argv, may_run=_only_guests_on(NETWORK), optional=True, grace_seconds=5),)


def _only_guests_on(bridge: str) -> Callable[[], bool]:
    def only_guests() -> bool:
        ports = _LINKS / bridge / "brif"
        if not ports.is_dir():
            return False
        return not any(_is_cable(port) for port in os.listdir(ports))

    return only_guests


def _is_cable(port: str) -> bool:
    """Hardware has a device behind it; of a machine that is itself a container a name tells. Guests' have neither."""
    return (_LINKS / port / "device").exists() or port.startswith(_NIC_NAMES)


def _connects(path: Path) -> Callable[[], bool]:
    def connects() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            return client.connect_ex(os.fspath(path)) == 0

    return connects


def _listens(port: int) -> Callable[[], bool]:
    """By the kernel's tables: a client that says nothing would be a line in a daemon's log."""

    def listens() -> bool:
        for table in _SOCKET_TABLES:
            for line in table.read_text().splitlines()[1:] if table.exists() else ():
                words = line.split()
                if words[3] == _LISTENING and words[1].endswith(f":{port:04X}"):
                    return True
        return False

    return listens
