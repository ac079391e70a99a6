# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""For ``covirt-host check``: the kernel's part in networks, the firewall between engines and the agent, the clock."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from covirt.common.errors import Error
from covirt.common.process import run
from covirt.common.root import Root
from covirt.host.config import HostConfig
from covirt.host.findings import Finding, Verdict, missing, note
from covirt.host.firewall import closed_ports

_SECONDS: Final = 15.0
_FILTERED: Final = ("iptables", "ip6tables", "arptables")
_SYSCTL_FILE: Final = "/etc/sysctl.d/90-covirt.conf"

Ask = Callable[[Sequence[str]], str]


def _output(argv: Sequence[str]) -> str:
    return run(argv, timeout_seconds=_SECONDS).stdout.decode(errors="replace")


def look_at_bridges(_root: Root, _config: HostConfig, *, system: Path = Path("/")) -> Iterator[Finding]:
    """``system``: where proc, sys and lib are."""
    release = os.uname().release
    for module, what in (("bridge", "bridges"), ("bonding", "bonds"), ("8021q", "VLANs")):
        present = _kernel_has(system, release, module)
        if present is None:
            fact = f"whether kernel {release} has {what} is not known: it lists no modules"
            yield Finding(what=what, fact=fact, verdict=Verdict.NOTE)
        elif present:
            yield Finding(what=what, fact="the kernel has them")
        elif module == "bridge":
            yield missing(what, f"kernel {release} has none, and networks need them", _kernel_package())
        else:
            yield note(what, f"kernel {release} has none; networks on them are refused", _kernel_package())
    yield from _bridge_filter(system)


def _bridge_filter(system: Path) -> Iterator[Finding]:
    """Frames between guests of one bridge pass the host's firewall, whose rules are not written for them."""
    directory = system / "proc/sys/net/bridge"
    on = [name for name in _FILTERED if _text(directory / f"bridge-nf-call-{name}") == "1"]
    if on:
        lines = " ".join(f"net.bridge.bridge-nf-call-{name}=0" for name in on)
        yield note(
            "frames on bridges",
            f"br_netfilter sends them through the host's {' and '.join(on)} rules, which may cut guests off",
            f"printf '%s\\n' {lines} >{_SYSCTL_FILE}; echo br_netfilter >/etc/modules-load.d/covirt.conf; "
            f"sysctl --load={_SYSCTL_FILE}",
        )
    else:
        yield Finding(what="frames on bridges", fact="the host's own firewall does not see them")


def _kernel_has(system: Path, release: str, module: str) -> bool | None:
    if (system / "sys/module" / module).exists():
        return True
    lists = [system / "lib/modules" / release / name for name in ("modules.dep", "modules.builtin")]
    texts = [_text(path) for path in lists if path.exists()]
    if not texts:
        return None
    return any(f"/{module}.ko" in text for text in texts)


def _kernel_package() -> str:
    return (
        "apt-get install linux-image-amd64 && reboot" if os.uname().machine == "x86_64" else "install a full kernel"
    )


def look_at_firewall(
    _root: Root, config: HostConfig, *, ask: Ask = _output, interface: Callable[[], str | None] | None = None
) -> Iterator[Finding]:
    ports = [port for port in (config.rpc.port, config.images.imageio_port) if port]
    if shutil.which("nft") is None:
        fact = "nft is not installed, so rules of the kernel cannot be looked at"
        yield note("firewall", fact, "apt-get install nftables")
        return
    try:
        ruleset = json.loads(ask(["nft", "--json", "list", "ruleset"]) or "{}")
        closed = list(closed_ports(ruleset, ports, interface=(interface or default_interface)()))
    except (Error, ValueError, KeyError, TypeError, AttributeError) as error:
        yield note("firewall", f"its rules cannot be read: {error}", "nft list ruleset")
        return
    for one in closed:
        fact = f"port {one.port} is closed by {one.manager} (table {one.family} {one.table}, chain {one.chain})"
        yield missing("firewall", fact, one.remedy)
    if not closed:
        yield Finding(what="firewall", fact=f"open for {' and '.join(map(str, ports))}")


def default_interface() -> str | None:
    """Where clients from elsewhere come in, most likely: the interface of the default route."""
    for line in _text(Path("/proc/net/route")).splitlines()[1:]:
        words = line.split()
        if len(words) > 1 and words[1] == "00000000":
            return words[0]
    return None


def look_at_time(_root: Root, _config: HostConfig, *, ask: Ask = _output) -> Iterator[Finding]:
    """Certificates and tickets are good for a time, and an engine compares the hosts' clocks."""
    try:
        told = ask(["timedatectl", "show", "--property=NTPSynchronized", "--value"]).strip()
    except Error as error:
        yield note("clock", f"whether it is synchronised is not known: {error}", "timedatectl")
        return
    if told == "yes":
        yield Finding(what="clock", fact="synchronised")
    else:
        yield missing("clock", "not synchronised, and certificates and an engine need the true time", _clock_remedy())


def _clock_remedy() -> str:
    if shutil.which("chronyc"):
        return "systemctl enable --now chrony && chronyc makestep; chronyc sources tells what it hears"
    if Path("/lib/systemd/systemd-timesyncd").exists():
        return "timedatectl set-ntp true; timedatectl timesync-status tells what it hears"
    return "apt-get install chrony"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
