# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events on their way to every subscribed engine: in order, never waiting for one."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from covirt.hostapi.json import JsonValue

log = logging.getLogger(__name__)

EVENT_DESTINATION: Final = "jms.queue.events"

# Sends one notification to a destination's subscribers, and does not block: (destination, method, params).
Send = Callable[[str, str, Mapping[str, JsonValue]], None]


class Events:
    """Where parts tell what has happened; the server is joined to it once it serves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._send: Send | None = None

    def join(self, send: Send | None) -> None:
        """From now on events go to ``send``; None: to nobody."""
        with self._lock:
            self._send = send

    def publish(self, topic: str, params: Mapping[str, JsonValue]) -> None:
        """Tell an event, as in ``publish("|virt|VM_status|ID", {ID: {"status": "Up"}})``.

        Adds ``notify_time``, milliseconds of a monotonic clock. Order is kept over all threads.
        """
        with self._lock:
            if self._send is None:
                return
            self._send(EVENT_DESTINATION, topic, {**params, "notify_time": int(time.monotonic() * 1000)})
