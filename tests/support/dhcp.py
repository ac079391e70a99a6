# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A real DHCP server on a bridge: dnsmasq, whose log tells what it was asked."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from covirt.common.process import Child, run, spawn
from tests.support.network import LinuxBridge
from tests.support.waiting import wait_until

_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpServer:
    """Gives out .100 to .150 of its bridge's network, itself as the router, and ``test.example`` as the domain."""

    bridge: LinuxBridge
    log_path: Path
    child: Child

    @property
    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    def heard(self, message: str, mac: str = "") -> list[str]:
        """Addresses in the log's lines of this message, ``DHCPACK`` and the like, oldest first."""
        return re.findall(rf"{message}\(\S+\) ([0-9.]+) {mac}", self.log)

    def wait_for(self, message: str, mac: str = "", *, times: int = 1) -> str:
        """The newest address, once there are so many lines of this message."""
        what = f"{message} {mac} in the log of dnsmasq"
        wait_until(lambda: len(self.heard(message, mac)) >= times, timeout_seconds=_SECONDS, what=what)
        return self.heard(message, mac)[-1]

    def pause(self) -> None:
        """From now on it says nothing."""
        self.child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.child.signal(signal.SIGCONT)


@contextmanager
def serve_dhcp(
    bridge: LinuxBridge, directory: Path, *options: str, lease: str = "10m", first: int = 100, namespace: str = ""
) -> Iterator[DhcpServer]:
    """``options`` are more of dnsmasq's, ``lease`` is how long one lasts (dnsmasq takes no less than 2m).

    ``namespace``: of ``ip netns``, where the bridge is.
    """
    log_path = directory / f"dnsmasq-{bridge.name}.log"
    argv = ["ip", "netns", "exec", namespace] if namespace else []
    argv += ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file="]
    argv += [f"--interface={bridge.name}", "--except-interface=lo", "--bind-interfaces", "--port=0", "--no-ping"]
    argv += [f"--dhcp-range={bridge.guest_address(first)},{bridge.guest_address(first + 50)},{lease}"]
    argv += ["--dhcp-authoritative", "--domain=test.example", f"--dhcp-option=option:dns-server,{bridge.address}"]
    argv += [f"--dhcp-leasefile={directory}/leases-{bridge.name}", f"--log-facility={log_path}", *options]
    log_path.unlink(missing_ok=True)
    with spawn(argv) as child:
        server = DhcpServer(bridge=bridge, log_path=log_path, child=child)
        wait_until(lambda: "sockets bound" in server.log, timeout_seconds=_SECONDS, what="a start of dnsmasq")
        try:
            yield server
        finally:
            server.resume()


def renew(pid: int) -> None:
    """Have a DHCP client renew its lease now, as it does by itself when half of its time is over."""
    run(["kill", "-USR1", str(pid)], timeout_seconds=10)
