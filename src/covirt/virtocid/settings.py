# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The limits of the server; the defaults are libvirtd's where it has the same."""

from dataclasses import dataclass
from typing import Final

from covirt.wire.framing import MAX_FRAME_BYTES

DEFAULT_CONNECTION_NAMES: Final = ("oci:///system", "oci:///", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    # Names a client may ask for in CONNECT_OPEN, without what follows "?"; the first is what it is told.
    connection_names: tuple[str, ...] = DEFAULT_CONNECTION_NAMES
    # Over the read-write socket, and root's; a tenth of these is root's alone.
    max_clients: int = 1000
    # Over the read-only socket, which is open to everybody on the host. They never take a place of those above.
    max_readonly_clients: int = 500
    # Of one user but root.
    max_clients_per_user: int = 200
    # Threads for handlers, and those kept for procedures marked as priority.
    workers: int = 20
    priority_workers: int = 5
    # Calls of one client that are being answered; further ones wait, and beyond the backlog it is not read from.
    max_calls_per_client: int = 5
    max_backlog_calls: int = 32
    max_backlog_bytes: int = 1 << 20
    # What all clients of one user, and of all users but root, may have over the read-only socket: calls that run,
    # and bytes that were received and not yet answered, or answered and not yet read.
    max_readonly_calls_per_user: int = 6
    max_readonly_calls: int = 12
    max_readonly_bytes_per_user: int = 32 << 20
    max_readonly_bytes: int = 128 << 20
    # Bytes a client may leave unread before it is dropped; calls and streams already pause at output_high_bytes.
    max_queued_bytes: int = 16 << 20
    output_high_bytes: int = 1 << 20
    # What a client may send in one packet: before CONNECT_OPEN, over a read-only connection, and else. The longest
    # packet that only reads is a list of domains whose statistics are asked for: here, some 3,000.
    max_unopened_frame_bytes: int = 1 << 16
    max_readonly_frame_bytes: int = 1 << 18
    max_frame_bytes: int = MAX_FRAME_BYTES
    max_streams_per_client: int = 32
    max_registrations_per_client: int = 4096
    max_readonly_registrations_per_client: int = 64  # one for every kind of event is 27
    # A client that has not opened a connection by then is dropped.
    open_timeout_seconds: float = 60.0
    # Nor does one stay over the read-only socket that has not ended the packet it began by then.
    readonly_packet_seconds: float = 30.0
    # Clients that answer pings get one after so much silence, and are dropped after so many without an answer.
    keepalive_interval_seconds: float = 5.0
    keepalive_count: int = 5
    # A stream whose endpoint takes no input for so long is broken off, so that its client is read from again.
    stream_stall_seconds: float = 30.0
