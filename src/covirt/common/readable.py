# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for one descriptor: by poll, because select refuses numbers from 1024 on, which a daemon with hundreds of
containers has."""

import math
import select
from typing import IO


def readable_within(descriptor: int | IO[bytes], seconds: float) -> bool:
    """Wait until there is something to read, or the end of it; False when the time is up first."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(math.ceil(max(0.0, seconds) * 1000)))


def writable_within(descriptor: int, seconds: float) -> bool:
    """Wait until something can be written, or nobody reads any more; False when the time is up first."""
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    return bool(poller.poll(math.ceil(max(0.0, seconds) * 1000)))
