# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A client's connection: frames out from any thread, frames in to one.

OpenSSL allows one thread at a time in a connection, so the socket does not block and a lock is held around each of
its calls: whoever sends does it at once and in its own thread, and the reader waits without the lock.
"""

import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Final

from covirt.rpc.errors import BadFrame
from covirt.rpc.stomp import HEARTBEAT, Decoder, Frame, Limits

_READ_BYTES: Final = 256 << 10
_MAX_UNSENT_BYTES: Final = 64 << 20
_BEAT_EARLY: Final = 0.5  # of the agreed period, after which we say something
_GRACE: Final = 2.0  # times the agreed period, after which the peer counts as gone


class LinkLost(Exception):
    """The connection is of no use any more; the text says why."""


class Link:
    """Open once it is made. frames() runs in one thread; send() and close() may be called from any."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        tls: ssl.SSLContext | None,
        seconds: float,
        heartbeat_ms: int,
        limits: Limits,
    ) -> None:
        """Connect and shake hands within so many seconds, each. Raises LinkLost."""
        self._lock = threading.Lock()
        self._unsent = bytearray()
        self._decoder = Decoder(limits)
        self._early: list[Frame] = []  # what came together with CONNECTED
        self._closed = False
        self._beat_out = self._beat_in = 0.0
        self._said = self._heard = time.monotonic()
        self._socket = _connected(address, tls, seconds)
        try:
            self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except OSError as error:
            self._socket.close()
            raise LinkLost(error.strerror or str(error)) from error
        try:
            self._greet(seconds, heartbeat_ms)
        except BaseException:
            self.release()
            raise

    def send(self, frame: Frame) -> None:
        """At once, or as soon as the peer reads. Raises LinkLost."""
        self._put(frame.encode())

    def close(self) -> None:
        """frames() ends soon; safe to call at any time before release()."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.eventfd_write(self._wake, 1)

    def release(self) -> None:
        """Give back the descriptors, once nobody is in frames() any more."""
        with self._lock:
            self._closed = True
            if self._wake >= 0:
                self._socket.close()
                os.close(self._wake)
                self._wake = -1

    def frames(self) -> Iterator[Frame]:
        """What the peer says, for ever. Raises LinkLost at the end."""
        yield from self._early
        while True:
            yield from self._read()
            self._wait(self._time_left())

    def _greet(self, seconds: float, heartbeat_ms: int) -> None:
        deadline = time.monotonic() + seconds
        beat = f"{heartbeat_ms},{heartbeat_ms}"
        self.send(Frame(command="CONNECT", headers={"accept-version": "1.2", "heart-beat": beat}))
        while not (answer := self._read()):
            left = deadline - time.monotonic()
            if left <= 0:
                raise LinkLost("it does not answer CONNECT")
            self._wait(left)
        if answer[0].command != "CONNECTED":
            raise LinkLost(f"it answers CONNECT with {answer[0].headers.get('message', answer[0].command)}")
        self._early = answer[1:]
        theirs_out, theirs_in = _numbers(answer[0].headers.get("heart-beat", "0,0"))
        self._beat_out = max(theirs_in, heartbeat_ms) / 1000 if theirs_in and heartbeat_ms else 0.0
        self._beat_in = max(theirs_out, heartbeat_ms) / 1000 if theirs_out and heartbeat_ms else 0.0

    def _read(self) -> list[Frame]:
        """What has come, without waiting."""
        frames: list[Frame] = []
        while (data := self._receive()) is not None:
            if not data:
                raise LinkLost("it has closed the connection")
            self._heard = time.monotonic()
            try:
                frames += [frame for frame in self._decoder.feed(data) if frame is not None]
            except BadFrame as error:
                raise LinkLost(str(error)) from error
        return frames

    def _receive(self) -> bytes | None:
        """None when there is nothing now."""
        with self._lock:
            if self._closed:
                raise LinkLost("the connection is closed on our side")
            try:
                return self._socket.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            except OSError as error:
                raise LinkLost(error.strerror or str(error)) from error

    def _put(self, data: bytes) -> None:
        with self._lock:
            if self._closed:
                raise LinkLost("the connection is closed")
            if len(self._unsent) > _MAX_UNSENT_BYTES:
                raise LinkLost("it does not read what it is sent")
            empty = not self._unsent
            self._unsent += data
            self._flush()
            if empty and self._unsent:
                os.eventfd_write(self._wake, 1)  # the reader waits until more can be sent

    def _flush(self) -> None:
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent)
                del self._unsent[:sent]
                self._said = time.monotonic()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise LinkLost(error.strerror or str(error)) from error

    def _wait(self, seconds: float | None) -> None:
        """Until there is something to read, or to do, or the time is over."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        poller.register(self._wake, select.POLLIN)
        ready = dict(poller.poll(None if seconds is None else max(seconds, 0.0) * 1000))
        if self._wake in ready:
            os.eventfd_read(self._wake)
        if self._unsent:
            with self._lock:
                self._flush()

    def _time_left(self) -> float | None:
        """Until a heartbeat is due, or is missed. Says ours when it is."""
        now = time.monotonic()
        beats = self._beat_out and not self._unsent  # what is unsent says as much
        if beats and now - self._said >= self._beat_out * _BEAT_EARLY:
            self._put(HEARTBEAT)
        if self._beat_in and now - self._heard >= self._beat_in * _GRACE:
            raise LinkLost(f"it has said nothing for {now - self._heard:.0f} s")
        due = [self._said + self._beat_out * _BEAT_EARLY] if beats else []
        due += [self._heard + self._beat_in * _GRACE] if self._beat_in else []
        return min(due) - now if due else None


def _connected(address: tuple[str, int], tls: ssl.SSLContext | None, seconds: float) -> socket.socket:
    try:
        connection: socket.socket = socket.create_connection(address, timeout=seconds)
    except (OSError, UnicodeError) as error:  # the latter for what can be no host's name
        raise LinkLost(getattr(error, "strerror", "") or str(error)) from error
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            connection = tls.wrap_socket(connection, server_hostname=address[0])
        connection.setblocking(False)
    except OSError as error:  # ssl.SSLError is one
        connection.close()
        reason = getattr(error, "verify_message", "") or error.strerror or str(error)
        raise LinkLost(f"TLS: {reason}") from error
    return connection


def _numbers(text: str) -> tuple[int, int]:
    try:
        first, second = (int(part) for part in text.split(","))
    except ValueError:
        return 0, 0
    return max(first, 0), max(second, 0)
