# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Looking into, and sending from, the network namespace of a container that has no process."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from covirt.common.process import run
from covirt.oci import syscalls
from covirt.oci.namespaces import make_namespaces, remove_namespaces
from tests.integration.oci.boxes import IDMAP

T = TypeVar("T")

BROADCAST: Final = "ff:ff:ff:ff:ff:ff"
_ARP: Final = 0x0806
_IPV4: Final = 0x0800
_VLAN: Final = 0x8100
_WAIT_SECONDS: Final = 5.0


@contextmanager
def network_namespace(directory: Path) -> Iterator[Path]:
    try:
        yield make_namespaces(IDMAP, directory).network
    finally:
        remove_namespaces(directory)


def inside(namespace: Path, work: Callable[[], T]) -> T:
    """Call ``work`` in a thread that has entered the namespace and ends with it."""
    answers: list[T] = []

    def enter() -> None:
        with namespace.open() as stream:
            syscalls.enter_namespace(stream.fileno(), syscalls.CLONE_NEWNET)
        answers.append(work())

    thread = threading.Thread(target=enter, name="netns")
    thread.start()
    thread.join()
    return answers[0]


def ip_json(*words: str, namespace: Path | None = None) -> Any:
    """What ``ip -j`` says, here or in a namespace."""
    prefix = [f"--net={namespace}"] if namespace else []
    argv = ["nsenter", *prefix, "ip", "-j", *words]
    return json.loads(run(argv, timeout_seconds=10).stdout or b"[]")


class Port:
    """A packet socket on one interface in a namespace: sends any frame, sees what arrives."""

    def __init__(self, namespace: Path, name: str) -> None:
        self._socket = inside(namespace, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        self._socket.bind((name, 3))  # ETH_P_ALL
        self._socket.settimeout(_WAIT_SECONDS)

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def frames_until(self, last: bytes) -> list[bytes]:
        """Everything that arrives up to and with ``last``: frames keep their order, so nothing has to be timed."""
        seen: list[bytes] = []
        while not seen or seen[-1][: len(last)] != last:
            seen.append(self._socket.recv(2048))
        return seen

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Port":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ethernet(source: str, kind: int, payload: bytes, *, target: str = BROADCAST) -> bytes:
    return _mac(target) + _mac(source) + struct.pack(">H", kind) + payload.ljust(46, b"\0")


def arp(source: str, *, sender_mac: str, sender_ip: str, kind: int = _ARP) -> bytes:
    """A gratuitous ARP reply: "``sender_ip`` is at ``sender_mac``"."""
    body = struct.pack(">HHBBH", 1, _IPV4, 6, 4, 2) + _mac(sender_mac) + socket.inet_aton(sender_ip)
    body += _mac(BROADCAST) + socket.inet_aton(sender_ip)
    if kind == _VLAN:
        body = struct.pack(">HH", 5, _ARP) + body
    return ethernet(source, kind, body)


def ports(source: int, target: int) -> bytes:
    """The head of a UDP packet without content."""
    return struct.pack(">HHHH", source, target, 8, 0)


def udp(source: int, target: int) -> bytes:
    """An IPv4 packet that holds one, from nobody to all."""
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    total = sum(struct.unpack(">10H", head))
    checksum = 0xFFFF - ((total & 0xFFFF) + (total >> 16))
    return head[:10] + struct.pack(">H", checksum) + head[12:] + ports(source, target)


def ipv6(protocol: int, content: bytes) -> bytes:
    """An IPv6 packet from a link-local address to all nodes."""
    source, target = bytes.fromhex("fe80" + "00" * 13 + "01"), bytes.fromhex("ff02" + "00" * 13 + "01")
    return struct.pack(">IHBB", 6 << 28, len(content), protocol, 255) + source + target + content


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
