# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A client of a ticketed stream, which says and hears bytes."""

import socket
import ssl
from typing import Final

from covirt.common.channels import ChannelDecoder, ChannelFrame
from covirt.rpc.streams import STREAM_PREFIX

GREETING: Final = STREAM_PREFIX + b"AM/1 "


class StreamClient:
    """Every wait is bounded."""

    def __init__(self, port: int, context: ssl.SSLContext, ticket: str) -> None:
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket = context.wrap_socket(connection, server_hostname="127.0.0.1")
        self.heard = b""
        self.socket.sendall(GREETING + ticket.encode() + b"\n")

    def __enter__(self) -> "StreamClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def line(self) -> str:
        """The answer to the ticket."""
        self.hear(b"\n")
        line, _, self.heard = self.heard.partition(b"\n")
        return line.decode()

    def hear(self, expected: bytes) -> None:
        """Until this was heard; ConnectionError when the stream ends before."""
        while expected not in self.heard:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError(f"the stream has ended after {self.heard!r}")
            self.heard += data

    def frames(self) -> list[ChannelFrame]:
        """All until the end: of a command or a log."""
        return list(ChannelDecoder().feed(self.rest()))

    def rest(self) -> bytes:
        """All until the end."""
        while data := self.socket.recv(65536):
            self.heard += data
        return self.heard
