# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A small client of the host's own libvirt, over its socket: which Linux bridge stands behind a libvirt network?

virtocid speaks the protocol anyway, so it asks without libvirt's C library and its threads.
"""

import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeVar

from covirt.common.errors import NotFound, Unavailable
from covirt.wire import procedures as proc
from covirt.wire.codec import codec_of
from covirt.wire.errors import WireError
from covirt.wire.framing import Frame, FrameReader, FrameStatus, FrameType
from covirt.wire.protocol import Procedure
from covirt.wire.structs import NameArgs, RemoteError
from covirt.wire.structs_connect import ConnectOpenArgs
from covirt.wire.structs_host import NetworkArgs

A = TypeVar("A")
R = TypeVar("R")

# The modular daemon first, then the monolithic one (libvirt.org: "daemons").
_SOCKETS: Final = ("virtnetworkd-sock-ro", "libvirt-sock-ro")
_URI: Final = "network:///system"
_TIMEOUT_SECONDS: Final = 5.0
_READ_ONLY: Final = 1
_ERROR_CODEC: Final = codec_of(RemoteError)


class LibvirtAbsent(Unavailable):
    template = "the host's libvirt does not answer ({reason})"


class NetworkUnusable(NotFound):
    template = "{reason}"


def bridge_of_network(directories: Iterable[Path], name: str) -> str:
    """The bridge of an active network, asked from the first libvirt that answers in one of these directories.

    Raises LibvirtAbsent, NetworkUnusable.
    """
    reason = "it has no socket in /run/libvirt"
    for path in (directory / socket_name for directory in directories for socket_name in _SOCKETS):
        if not path.exists():
            continue
        try:
            return _ask(path, name)
        except (OSError, WireError, struct.error) as error:
            reason = f"{path}: {error}"
    raise LibvirtAbsent(reason=reason)


def _ask(path: Path, name: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as stream:
        stream.settimeout(_TIMEOUT_SECONDS)
        stream.connect(str(path))
        caller = _Caller(stream)
        caller.call(proc.AUTH_LIST, None)
        caller.call(proc.CONNECT_OPEN, ConnectOpenArgs(name=_URI, flags=_READ_ONLY))
        network = caller.call(proc.NETWORK_LOOKUP_BY_NAME, NameArgs(name=name)).net
        if not caller.call(proc.NETWORK_IS_ACTIVE, NetworkArgs(net=network)).active:
            raise NetworkUnusable(reason=f"it is not active; run virsh net-start {name}")
        bridge = caller.call(proc.NETWORK_GET_BRIDGE_NAME, NetworkArgs(net=network)).name
        caller.call(proc.CONNECT_CLOSE, None)
        return bridge


class _Caller:
    """Calls on one connection, one after another."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._reader = FrameReader()
        self._serial = 0

    def call(self, procedure: Procedure[A, R], args: A) -> R:
        """Raises NetworkUnusable with libvirt's own words when it refuses."""
        self._serial += 1
        payload = procedure.args_codec.encode(args)
        request = Frame(
            program=procedure.program,
            procedure=procedure.number,
            type=FrameType.CALL,
            serial=self._serial,
            payload=payload,
        )
        self._stream.sendall(request.encode())
        reply = self._reply()
        if reply.status != FrameStatus.OK:
            error = _ERROR_CODEC.decode(reply.payload)
            raise NetworkUnusable(reason=error.message or "libvirt refused without a reason")
        return procedure.ret_codec.decode(reply.payload)

    def _reply(self) -> Frame:
        while True:
            data = self._stream.recv(65536)
            if not data:
                raise ConnectionError("it closed the connection")
            for frame in self._reader.feed(data):
                if frame.type == FrameType.REPLY and frame.serial == self._serial:
                    return frame
