# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Garbage collection that does not stop a server which lives in the same process as its clients."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collected_here() -> Iterator[None]:
    """Collect garbage at the end of the block, in this thread, and at no other time.

    libvirt-python frees its objects as they are collected, and with the last object of a closed connection libvirt
    says goodbye to the server and waits for its answer. In a thread of that server it would wait for ever.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        gc.enable()
