# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Sockets inside a container's network namespace: one belongs to the namespace it was made in, whoever uses it."""

import fcntl
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Final

from covirt.oci import syscalls

_SIOCSIFFLAGS: Final = 0x8914  # netdevice(7)
_IFF_UP: Final = 1
_IFREQ: Final = struct.Struct("16sh22x")


def socket_inside(namespace: Path, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """A new socket in the network namespace that ``namespace`` shows. Raises OSError.

    A thread goes there, makes it, and ends: no thread of ours stays inside.
    """
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    made: list[socket.socket] = []
    failures: list[OSError] = []

    def enter_and_make() -> None:
        try:
            syscalls.enter_namespace(descriptor, syscalls.CLONE_NEWNET)
            made.append(socket.socket(family, kind))
        except OSError as error:
            failures.append(error)

    try:
        thread = threading.Thread(target=enter_and_make, name="container-socket")
        thread.start()
        thread.join()
    finally:
        os.close(descriptor)
    if failures:
        raise failures[0]
    return made[0]


def raise_loopback(namespace: Path) -> None:
    """Bring ``lo`` up, which a runtime does only in a namespace that it made itself. Raises OSError."""
    with socket_inside(namespace, socket.AF_INET, socket.SOCK_DGRAM) as inside:
        fcntl.ioctl(inside, _SIOCSIFFLAGS, _IFREQ.pack(b"lo", _IFF_UP))
