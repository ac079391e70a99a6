# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The program that carries one stream between libvirt and its standard input and output, which are one socket.

A process of its own, because libvirt's client library takes in whatever a stream sends for as long as an event loop
runs, and the agent runs one; here it waits as long as nobody reads. It says OK or ERROR with a reason, and a line
feed, before any byte of the stream, and ends with either side, so also with the agent. Of a command and a log it says
how they ended, also when libvirt breaks the stream off, which bytes alone cannot tell: by an exit frame at the end.

A display is no stream of libvirt's but a socket of QEMU's, which libvirt hands over; the ticket has let the client
in, so that VNC's own password is not asked for.

Arguments: the connection's URI, the domain's UUID, and ``console``, ``console-force``, ``display`` or a channel's
name.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from typing import Any

import libvirt

from covirt.common.channels import (
    EXEC_CHANNEL,
    LOG_CHANNEL,
    ChannelDecoder,
    ChannelFrame,
    ExecChannelExit,
    FrameKind,
    encode_data,
)

_BROKEN_OFF_CODE = 125  # as of a command that could not be started
_BYTES = 64 << 10
_LET_GO_SECONDS = 3.0  # libvirt gets, to notice that another client is gone
_AGAIN_SECONDS = 0.05


class _Console:
    """What is written for what comes of the stream, and at its end: a terminal has nothing but its bytes."""

    def data(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""

    def broken_off(self, reason: str) -> bytes:  # noqa: ARG002 - those with frames say it
        return b""


class _Command(_Console):
    """Its frames as they are, the exit among them."""

    def __init__(self) -> None:
        self._decoder = ChannelDecoder()

    def data(self, data: bytes) -> bytes:
        for _frame in self._decoder.feed(data):
            pass
        return data

    def broken_off(self, reason: str) -> bytes:
        return _exit(ExecChannelExit(error=reason, exit_code=_BROKEN_OFF_CODE)) if self._decoder.at_boundary else b""


class _Log(_Console):
    """Text, which gets frames."""

    def data(self, data: bytes) -> bytes:
        return encode_data(FrameKind.STDOUT, data)

    def end(self) -> bytes:
        return _exit(ExecChannelExit(exit_code=0))

    def broken_off(self, reason: str) -> bytes:
        return _exit(ExecChannelExit(error=reason, exit_code=_BROKEN_OFF_CODE))


def _exit(told: ExecChannelExit) -> bytes:
    return ChannelFrame(kind=FrameKind.EXIT, data=told.encode()).encode()


_WIRES = {EXEC_CHANNEL: _Command, LOG_CHANNEL: _Log}


def main(uri: str, uuid: str, what: str) -> int:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        connection = libvirt.open(uri)
        domain = connection.lookupByUUIDString(uuid)
        if what == "display":
            return _show(domain)
        stream = _opened(connection, domain, what)
    except libvirt.libvirtError as error:
        _write(f"ERROR {error.get_error_message()}".replace("\n", " ").encode() + b"\n")
        return 1
    wire = _WIRES.get(what, _Console)()
    _write(b"OK\n")
    threading.Thread(target=_forward, args=(stream,), daemon=True).start()
    try:
        while data := stream.recv(_BYTES):
            _write(wire.data(data))
        _write(wire.end())
    except libvirt.libvirtError as error:
        _write(wire.broken_off(error.get_error_message()))
        return 1
    with contextlib.suppress(libvirt.libvirtError):  # all was said
        stream.finish()
    return 0


def _opened(connection: Any, domain: Any, what: str) -> Any:
    deadline = time.monotonic() + _LET_GO_SECONDS
    while True:
        stream = connection.newStream(0)
        try:
            if what in _WIRES:
                domain.openChannel(what, stream, 0)
            else:
                domain.openConsole(None, stream, 0)
        except libvirt.libvirtError as error:
            # Our own client was ended a moment ago, and libvirt is to notice that by itself: forced, it may die.
            if what != "console-force" or error.get_error_code() != libvirt.VIR_ERR_OPERATION_FAILED:
                raise
        else:
            return stream
        if time.monotonic() > deadline:
            break
        time.sleep(_AGAIN_SECONDS)
    stream = connection.newStream(0)
    domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    return stream


def _show(domain: Any) -> int:
    """Raises libvirtError before it has said anything."""
    from covirt.host.virt.document import read_xml

    kinds = [graphics.get("type") for graphics in read_xml(domain.XMLDesc()).iterfind("devices/graphics")]
    if "vnc" not in kinds:
        _write(b"ERROR there is no display of type vnc\n")
        return 1
    flags = libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH
    display = socket.socket(fileno=domain.openGraphicsFD(kinds.index("vnc"), flags))
    _write(b"OK\n")
    threading.Thread(target=_type, args=(display,), daemon=True).start()
    while data := display.recv(_BYTES):
        _write(data)
    return 0


def _type(display: socket.socket) -> None:
    """As _forward."""
    with contextlib.suppress(OSError):
        while data := os.read(0, _BYTES):
            display.sendall(data)
    os._exit(0)


def _forward(stream: Any) -> None:
    """What the client says, until it is gone; then nobody is there to read the rest either."""
    try:
        while data := os.read(0, _BYTES):
            while data:
                data = data[stream.send(data) :]
    except libvirt.libvirtError:
        return  # whoever reads hears why
    except OSError:
        pass
    os._exit(0)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _run() -> int:
    try:
        return main(*sys.argv[1:4])
    except OSError:  # the client is gone
        return 1


if __name__ == "__main__":
    os._exit(_run())  # not waiting for the thread that reads
