# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The program that carries one stream between libvirt and its standard input and output, which are one socket.

A process of its own, because libvirt's client library takes in whatever a stream sends for as long as an event loop
runs, and the agent runs one; here it waits as long as nobody reads. It says OK or ERROR with a reason, and a line
feed, before any byte of the stream, and ends with either side, so also with the agent.

Arguments: the connection's URI, the domain's UUID, and ``console``, ``console-force`` or a channel's name.
"""

import os
import sys
import threading
from typing import Any

import libvirt

_BYTES = 64 << 10


def main(uri: str, uuid: str, what: str) -> int:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        connection = libvirt.open(uri)
        stream = connection.newStream(0)
        _open(connection.lookupByUUIDString(uuid), stream, what)
    except libvirt.libvirtError as error:
        _write(f"ERROR {error.get_error_message()}".replace("\n", " ").encode() + b"\n")
        return 1
    _write(b"OK\n")
    threading.Thread(target=_forward, args=(stream,), daemon=True).start()
    try:
        while data := stream.recv(_BYTES):
            _write(data)
        stream.finish()
    except (libvirt.libvirtError, OSError):
        return 1
    return 0


def _open(domain: Any, stream: Any, what: str) -> None:
    if what.startswith("console"):
        domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE if what == "console-force" else 0)
    else:
        domain.openChannel(what, stream, 0)


def _forward(stream: Any) -> None:
    """What the client says, until it is gone; then nobody is there to read the rest either."""
    try:
        while data := os.read(0, _BYTES):
            while data:
                data = data[stream.send(data) :]
    except (libvirt.libvirtError, OSError):
        pass
    os._exit(0)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    os._exit(main(*sys.argv[1:4]))  # not waiting for the thread that reads
