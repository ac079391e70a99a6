# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How much one peer may have, and for how long: what makes it cost nobody else anything."""

from dataclasses import dataclass, field
from typing import Final

from covirt.rpc.stomp import Limits

# Of a call; a domain's XML is some ten KiB. Who sends more is dropped, so clients do not.
MAX_CALL_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Enough for several engines and tools; each number bounds what one of them can hold."""

    # Connections with a good certificate; each may hold what is below.
    max_connections: int = 100
    # Strangers that have not shown one yet. When there are more, the one that came first is dropped.
    max_handshakes: int = 64
    handshake_seconds: float = 10.0
    # To say what is spoken, and with STOMP to send CONNECT; Vdsm gives as long.
    detection_seconds: float = 10.0
    # To end a frame that has begun.
    frame_seconds: float = 60.0
    # What a client may send before it is connected, and after that.
    unconnected: Limits = field(default_factory=lambda: Limits(body_bytes=4 << 10))
    connected: Limits = field(default_factory=lambda: Limits(body_bytes=MAX_CALL_BYTES))
    # Values in one body: a domain's XML is one of some ten.
    max_values: int = 100_000
    # Begun frames of all clients together; when there is more, whoever holds most is dropped.
    max_buffered_bytes: int = 64 << 20
    # Calls that run at once, of all clients, and of one, which never has all workers; quick calls are counted by
    # themselves.
    workers: int = 16
    priority_workers: int = 4
    max_running: int = 12
    max_running_quick: int = 6
    # A call that runs so long has something hang under it (libvirt, storage). It keeps its worker and is counted no
    # longer; so many workers are made in the place of such.
    overdue_seconds: float = 10.0
    replacements: int = 64
    # Calls of one client that wait; when there are more it is not read from.
    max_waiting: int = 64
    # Unsent bytes from which no call of the client is begun, and at which it is dropped for not reading.
    output_high_bytes: int = 1 << 20
    output_limit_bytes: int = 32 << 20
    # Unsent bytes of all clients together; when there are more, whoever has left most unread is dropped.
    max_unsent_bytes: int = 128 << 20
    # A heartbeat may come so many times later than agreed.
    heartbeat_grace: float = 2.0
    # What clients get to read their last answers at stop.
    stop_seconds: float = 5.0
    flush_seconds: float = 1.0
