# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A stream whose bytes come out of a file of this host: a download.

epoll knows no regular files, and a read of one may wait for a disk. So each piece is read by a thread of a pool, and
the next one only when the client has taken what it was sent.
"""

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from covirt.virtocid.streams import Sink
from covirt.wire.constants import ErrorCode, ErrorDomain
from covirt.wire.framing import MAX_STREAM_PAYLOAD_BYTES
from covirt.wire.structs import RemoteError

log = logging.getLogger(__name__)

_CHUNK_BYTES: Final = MAX_STREAM_PAYLOAD_BYTES


class FileEndpoint:
    """Sends ``length_bytes`` of ``descriptor`` from ``offset_bytes`` on, then an end of file; closes it then."""

    def __init__(
        self, descriptor: int, *, offset_bytes: int, length_bytes: int, pool: ThreadPoolExecutor, what: str
    ) -> None:
        self._descriptor = descriptor
        self._offset_bytes = offset_bytes
        self._end_bytes = offset_bytes + length_bytes
        self._pool = pool
        self._what = what
        self._sink: Sink | None = None
        self._reading = False
        self._paused = False
        self._closed = False

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._next()

    def on_data(self, data: bytes) -> None:
        """A download takes no input; a client that sends some harms only itself."""

    def on_finish(self) -> None:
        self._close()

    def on_abort(self) -> None:
        self._close()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._next()

    def _next(self) -> None:
        if self._sink is None or self._reading or self._paused or self._closed:
            return
        count = min(_CHUNK_BYTES, self._end_bytes - self._offset_bytes)
        if count <= 0:
            self._closed = True
            self._sink.end()
            self._release()
            return
        self._reading = True
        future = asyncio.get_running_loop().run_in_executor(
            self._pool, os.pread, self._descriptor, count, self._offset_bytes
        )
        future.add_done_callback(self._done)

    def _done(self, future: asyncio.Future[bytes]) -> None:
        self._reading = False
        if future.cancelled() or self._closed or self._sink is None:
            self._close()
            self._release()
            return
        error = future.exception()
        data = b"" if error else future.result()
        if not data:  # it became shorter, or the disk has a fault: the client must not take it for whole
            reason = getattr(error, "strerror", None) or "the file became shorter"
            log.warning("Download broken off what=%s: %s", self._what, reason)
            self._closed = True
            self._sink.fail(
                RemoteError(
                    code=ErrorCode.OPERATION_FAILED,
                    domain=ErrorDomain.STREAMS,
                    message=f"download of {self._what} broke off at byte {self._offset_bytes}: {reason}",
                )
            )
            self._release()
            return
        self._offset_bytes += len(data)
        self._sink.write(data)
        self._next()

    def _close(self) -> None:
        self._closed = True
        self._release()

    def _release(self) -> None:
        """A read that goes on in its thread keeps the descriptor: its number could be another file's by then."""
        if self._descriptor >= 0 and not self._reading:
            os.close(self._descriptor)
            self._descriptor = -1
