# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine is called, for its certificate."""

import ipaddress
import os
import queue
import socket
import threading
from collections.abc import Iterable
from typing import Final

import psutil

_SECONDS: Final = 2.0


def own_names(configured: Iterable[str]) -> tuple[str, ...]:
    """The configured names first, then those of the machine, and its addresses."""
    machine = [name for name in (_full_name(), os.uname().nodename) if name and name.isascii()]
    return tuple(dict.fromkeys([*configured, *machine, "localhost", *_addresses()]))


def _full_name() -> str:
    """As the resolver says, which may hang for long where there is no network; empty when there is none."""
    answer: queue.SimpleQueue[str] = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: answer.put(socket.getfqdn()), name="full-name", daemon=True)
    thread.start()
    try:
        name = answer.get(timeout=_SECONDS)
    except queue.Empty:
        return ""
    return "" if name.partition(".")[0] == "localhost" else name


def _addresses() -> list[str]:
    found = ["127.0.0.1", "::1"]
    for interface in psutil.net_if_addrs().values():
        for entry in interface:
            if entry.family in (socket.AF_INET, socket.AF_INET6):
                address = ipaddress.ip_address(entry.address.partition("%")[0])
                if not address.is_link_local:
                    found.append(str(address))
    return found
