# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A NIC for tests: one end of a veth pair here, the other in a network namespace that is the rest of the world."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from covirt.common.process import run

_numbers = itertools.count(70)


@dataclass(frozen=True, slots=True, kw_only=True)
class FarSide:
    """``nic`` is ours, without an address; its other end has ``address`` in the same /24 as host_address()."""

    nic: str
    namespace: str
    address: str

    def host_address(self, last: int = 2) -> str:
        return f"{self.address.rpartition('.')[0]}.{last}"

    def run(self, *command: str, check: bool = True) -> str:
        """In the namespace of the other end."""
        argv = ["ip", "netns", "exec", self.namespace, *command]
        return run(argv, timeout_seconds=30, check=check).stdout.decode()

    def reaches(self, address: str) -> bool:
        """Whether a ping from there is answered within a second."""
        argv = ["ip", "netns", "exec", self.namespace, "busybox", "ping", "-c", "1", "-W", "1", address]
        return run(argv, timeout_seconds=30, check=False).status == 0


@contextmanager
def new_far_side() -> Iterator[FarSide]:
    number = next(_numbers)
    side = FarSide(nic=f"eth{number}", namespace=f"far{number}", address=f"10.78.{number}.1")
    run(["ip", "netns", "add", side.namespace], timeout_seconds=10)
    try:
        argv = ["ip", "link", "add", side.nic, "type", "veth", "peer", "name", "up0", "netns", side.namespace]
        run(argv, timeout_seconds=10)
        run(["ip", "link", "set", side.nic, "up"], timeout_seconds=10)
        side.run("ip", "address", "add", f"{side.address}/24", "dev", "up0")
        side.run("ip", "link", "set", "up0", "up")
        yield side
    finally:
        run(["ip", "link", "delete", side.nic], timeout_seconds=10, check=False)
        run(["ip", "netns", "delete", side.namespace], timeout_seconds=10)


def ip_json(*words: str) -> Any:
    """What ``ip -j`` says."""
    return json.loads(run(["ip", "-j", *words], timeout_seconds=10).stdout or b"[]")


def addresses(name: str) -> set[str]:
    """Of an interface, without the link's own."""
    links = ip_json("address", "show", "dev", name)
    return {
        f"{one['local']}/{one['prefixlen']}" for link in links for one in link["addr_info"] if one["scope"] != "link"
    }


def default_routes() -> set[tuple[str, str]]:
    """Gateway and interface."""
    return {(one["gateway"], one["dev"]) for one in ip_json("route", "show", "default")}
