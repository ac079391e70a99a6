# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Streams of a Vm, as sources for tickets: its console, its display, commands inside it, its log."""

import socket
import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from covirt.common.channels import EXEC_CHANNEL, LOG_CHANNEL
from covirt.common.process import Argument, Child, spawn
from covirt.host.virt import stream_program

_GRACE_SECONDS: Final = 2.0


class StreamKind(StrEnum):
    """The value is what stream_program knows."""

    CONSOLE = "console"
    CONSOLE_FORCE = "console-force"
    DISPLAY = "display"
    EXEC = EXEC_CHANNEL
    LOG = LOG_CHANNEL


class Closing(Protocol):
    def close(self) -> None: ...


class OpenConsoles:
    """Of all Vms. libvirt 9 may die of VIR_DOMAIN_CONSOLE_FORCE: whom we know we end ourselves, before it has to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, set[Closing]] = {}

    def begin(self, vm_id: str, console: Closing, *, alone: bool) -> None:
        """``alone``: end all others of the Vm first."""
        with self._lock:
            known = self._open.setdefault(vm_id, set())
            others = tuple(known) if alone else ()
            known.add(console)
        for other in others:
            other.close()

    def end(self, vm_id: str, console: Closing) -> None:
        with self._lock:
            known = self._open.get(vm_id, set())
            known.discard(console)
            if not known:
                self._open.pop(vm_id, None)


class VmStream:
    """A covirt.rpc.streams.StreamSource: a process between libvirt and a socket."""

    def __init__(self, *, uri: str, vm_id: str, kind: StreamKind, consoles: OpenConsoles) -> None:
        self._words = (uri, vm_id, kind.value)
        self._vm_id = vm_id
        self._kind = kind
        self._consoles = consoles
        self._child: Child | None = None

    def open(self) -> socket.socket:
        """Raises CommandMissing."""
        if self._kind in (StreamKind.CONSOLE, StreamKind.CONSOLE_FORCE):
            self._consoles.begin(self._vm_id, self, alone=self._kind is StreamKind.CONSOLE_FORCE)
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                argv: list[Argument] = [sys.executable, "-I", Path(stream_program.__file__).absolute(), *self._words]
                self._child = spawn(argv, stdin=theirs.fileno(), stdout=theirs.fileno(), own_group=True)
        except BaseException:
            ours.close()
            raise
        return ours

    def close(self) -> None:
        self._consoles.end(self._vm_id, self)
        if self._child is not None:
            self._child.stop(grace_seconds=_GRACE_SECONDS)
