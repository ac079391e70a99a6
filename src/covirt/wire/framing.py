# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of libvirt's RPC, without any I/O: bytes in, frames out.

A frame is a length that counts itself, six words of header, and a payload (source: libvirt's virnetprotocol.x and
measurements of stock clients).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from covirt.wire.errors import MalformedFrame, Unencodable

REMOTE_PROGRAM: Final = 0x20008086
QEMU_PROGRAM: Final = 0x20008087
LXC_PROGRAM: Final = 0x00068000
KEEPALIVE_PROGRAM: Final = 0x6B656570
PROTOCOL_VERSION: Final = 1  # of every program above

KEEPALIVE_PING: Final = 1
KEEPALIVE_PONG: Final = 2

HEADER_BYTES: Final = 28
MAX_FRAME_BYTES: Final = 33554432 + 4  # libvirt's limit does not count the four bytes of the length
MAX_PAYLOAD_BYTES: Final = MAX_FRAME_BYTES - HEADER_BYTES
MAX_STREAM_PAYLOAD_BYTES: Final = 262120  # what stock servers send in one stream packet

_HEADER: Final = struct.Struct(">IIIiiIi")
_LENGTH: Final = struct.Struct(">I")


class FrameType(IntEnum):
    CALL = 0
    REPLY = 1
    MESSAGE = 2  # an event, from server to client; also keepalive, both ways
    STREAM = 3
    CALL_WITH_FDS = 4
    REPLY_WITH_FDS = 5
    STREAM_HOLE = 6


class FrameStatus(IntEnum):
    OK = 0
    ERROR = 1
    CONTINUE = 2  # streams only


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One packet. ``type`` and ``status`` are plain numbers here: what they may be is the receiver's judgement."""

    program: int
    procedure: int
    type: int
    serial: int = 0
    status: int = FrameStatus.OK
    payload: bytes = b""
    version: int = PROTOCOL_VERSION

    def encode(self) -> bytes:
        """Raises Unencodable when the payload is over libvirt's limit."""
        length = HEADER_BYTES + len(self.payload)
        if length > MAX_FRAME_BYTES:
            raise Unencodable(reason=f"a packet of {length} bytes is over the limit {MAX_FRAME_BYTES}")
        header = _HEADER.pack(length, self.program, self.version, self.procedure, self.type, self.serial, self.status)
        return header + self.payload


class FrameReader:
    """Cuts a stream of bytes into frames. ``max_frame_bytes`` may be raised once a client is trusted more."""

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()

    @property
    def buffered_bytes(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take ``data`` and yield the frames that are complete now.

        Raises MalformedFrame as soon as a length is impossible, before its payload is buffered.
        """
        self._buffer += data
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        while len(self._buffer) >= 4:
            length: int = _LENGTH.unpack_from(self._buffer)[0]
            if not HEADER_BYTES <= length <= self.max_frame_bytes:
                raise MalformedFrame(reason=f"it announces a packet of {length} bytes")
            if len(self._buffer) < length:
                return
            _, program, version, procedure, kind, serial, status = _HEADER.unpack_from(self._buffer)
            payload = bytes(self._buffer[HEADER_BYTES:length])
            del self._buffer[:length]
            yield Frame(
                program=program,
                version=version,
                procedure=procedure,
                type=kind,
                serial=serial,
                status=status,
                payload=payload,
            )
