# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Streams of a Vm, as sources for tickets: its console, its display, commands inside it, its log."""

import socket
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

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


class VmStream:
    """A covirt.rpc.streams.StreamSource: a process between libvirt and a socket."""

    def __init__(self, *, uri: str, vm_id: str, kind: StreamKind) -> None:
        self._words = (uri, vm_id, kind.value)
        self._child: Child | None = None

    def open(self) -> socket.socket:
        """Raises CommandMissing."""
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
        if self._child is not None:
            self._child.stop(grace_seconds=_GRACE_SECONDS)
