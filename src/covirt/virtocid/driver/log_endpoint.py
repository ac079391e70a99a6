# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Our side of a log channel: one line of request in, lines of the log out, as fast as the client takes them."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor as Pool
from typing import Final

from covirt.common.channels import MAX_LOG_REQUEST_BYTES, BadChannelRequest, LogChannelRequest
from covirt.common.errors import Error
from covirt.oci.log_reader import LogReader
from covirt.virtocid.driver.errors import translate
from covirt.virtocid.streams import Sink

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.25  # between looks for new lines; see log_reader why nobody tells of them

OpenLog = Callable[[LogChannelRequest], LogReader]


class LogEndpoint:
    """An Endpoint of virtocid.streams.

    ``open_log`` and reading happen in ``pool``, one step at a time. ``is_over`` tells that nothing more will be
    written; ``on_close`` is called once.
    """

    def __init__(
        self, open_log: OpenLog, pool: Pool, *, is_over: Callable[[], bool], on_close: Callable[[], None]
    ) -> None:
        self._open_log = open_log
        self._pool = pool
        self._is_over = is_over
        self._on_close = on_close
        self._sink: Sink | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._received = bytearray()
        self._request: LogChannelRequest | None = None
        self._reader: LogReader | None = None
        self._paused = False
        self._busy = False  # a step is in the pool, which alone touches the reader meanwhile
        self._look: asyncio.TimerHandle | None = None
        self._over = False

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()

    def on_data(self, data: bytes) -> None:
        if self._request is not None or self._over:
            return  # a client has nothing more to say
        self._received += data
        line, newline, _ = self._received.partition(b"\n")
        try:
            if newline:
                self._request = LogChannelRequest.parse(bytes(line))
                self._step()
            elif len(self._received) > MAX_LOG_REQUEST_BYTES:
                raise BadChannelRequest(reason=f"its line has more than {MAX_LOG_REQUEST_BYTES} bytes")
        except Error as error:
            self._fail(error)

    def on_finish(self) -> None:
        self._close()

    def on_abort(self) -> None:
        self._close()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._step()

    def _step(self) -> None:
        """Have the next lines read, unless that is under way, or nobody takes them."""
        if self._loop is None or self._request is None or self._busy or self._paused or self._over:
            return
        if self._look is not None:
            self._look.cancel()
            self._look = None
        self._busy = True
        self._pool.submit(self._read, self._loop, self._request)

    def _read(self, loop: asyncio.AbstractEventLoop, request: LogChannelRequest) -> None:
        """In the pool."""
        error: Error | None = None
        text, last = b"", True
        try:
            if self._reader is None:
                self._reader = self._open_log(request)
            over = not request.follow or self._is_over()  # asked before: what was written until then is read yet
            text = self._reader.read()
            last = over and not text
            if not text:
                text = self._reader.held()
        except Error as raised:
            error = raised
        except Exception:  # a thread top: a bug here must not leave the client waiting
            log.exception("A log could not be read")
            error = Error(message="virtocid could not read the log; its own log says why")
        try:
            loop.call_soon_threadsafe(self._have_read, text, last, error)
        except RuntimeError:  # the loop is closed: the server has stopped
            self._release()

    def _have_read(self, text: bytes, last: bool, error: Error | None) -> None:  # noqa: FBT001 - an internal callback
        self._busy = False
        if self._over or self._sink is None or self._loop is None:
            self._release()
        elif error is not None:
            self._fail(error)
        else:
            if text:
                self._sink.write(text)
            if last:
                self._sink.end()
                self._close()
            elif text:
                self._step()
            else:
                self._look = self._loop.call_later(_LOOK_SECONDS, self._step)

    def _fail(self, error: Error) -> None:
        if self._sink is not None:
            self._sink.fail(translate(error))
        self._close()

    def _close(self) -> None:
        if self._over:
            return
        self._over = True
        if self._look is not None:
            self._look.cancel()
        if not self._busy:
            self._release()
        self._on_close()

    def _release(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
