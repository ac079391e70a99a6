# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Consoles: one client at a time on the terminal that conmon holds; a second one must take it over by force."""

import contextlib
import os
import socket
import threading
from uuid import UUID

from covirt.oci.monitor import attach
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import ConsoleBusy, NoSuchConsole
from covirt.virtocid.streams import DescriptorEndpoint


class Consoles:
    """Who is on which console."""

    def __init__(self) -> None:
        # Held for looking things up only, because closing a console takes it in the server's event loop.
        self._lock = threading.Lock()
        self._open: dict[UUID, socket.socket] = {}

    def open(self, domain: Domain, device: str | None, *, force: bool) -> DescriptorEndpoint:
        """Attach to the container's terminal, or without one to its output and input.

        Raises NoSuchConsole, ConsoleBusy, MonitorUnreachable.
        """
        run = domain.require_run()
        if device not in (None, "", "console0", *(console.alias for console in run.config.consoles)):
            raise NoSuchConsole(name=domain.name, device=device)
        stream = attach(run.monitor_paths)
        with self._lock:
            present = self._open.get(domain.uuid)
            taken = present is None or force
            if taken:
                self._open[domain.uuid] = stream
        if not taken:
            stream.close()
            raise ConsoleBusy(name=domain.name)
        if present is not None:
            _hang_up(present)
        # The endpoint gets a descriptor of its own; ours stays to hang up the client when another takes over.
        return DescriptorEndpoint(
            os.dup(stream.fileno()),
            unwrap=_without_mark,
            on_close=lambda: self._closed(domain.uuid, stream),
        )

    def _closed(self, uuid: UUID, stream: socket.socket) -> None:
        with self._lock:
            if self._open.get(uuid) is stream:
                del self._open[uuid]
        stream.close()


def _without_mark(packet: bytes) -> bytes:
    """conmon puts one byte in front of every packet that tells stdout from stderr; a console shows both."""
    return packet[1:]


def _hang_up(stream: socket.socket) -> None:
    with contextlib.suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)
