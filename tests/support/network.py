# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Linux bridges in the world's own network."""

import itertools
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from covirt.common.process import run
from tests.support.waiting import wait_until

_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinuxBridge:
    """A bridge that is up. ``address`` is ours on it; guests may use any other of 10.77.N.0/24."""

    name: str
    address: str

    def guest_address(self, last: int) -> str:
        """``guest_address(5)`` -> ``"10.77.0.5"``."""
        return f"{self.address.rpartition('.')[0]}.{last}"


@contextmanager
def new_linux_bridge() -> Iterator[LinuxBridge]:
    number = next(_numbers) % 250
    bridge = LinuxBridge(name=f"tbr{number}", address=f"10.77.{number}.1")
    for words in (
        ["link", "add", bridge.name, "type", "bridge", "forward_delay", "0"],
        ["address", "add", f"{bridge.address}/24", "dev", bridge.name],
        ["link", "set", bridge.name, "up"],
    ):
        run(["ip", *words], timeout_seconds=10)
    try:
        yield bridge
    finally:
        run(["ip", "link", "delete", bridge.name], timeout_seconds=10)


def fetch(url: str, *, timeout_seconds: float = 30.0) -> bytes:
    """A page, as soon as its server answers."""
    body: list[bytes] = []

    def answered() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # a test's own URL
                body.append(answer.read())
        except OSError:
            return False
        return True

    wait_until(answered, timeout_seconds=timeout_seconds, what=f"an answer of {url}")
    return body[-1]
