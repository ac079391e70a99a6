# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The endpoint that a Prometheus scrapes: GET /metrics, answered by a few threads of its own.

prometheus_client's own server has a thread per client and no time limit, and no unix sockets; anybody on the host can
connect here, so nobody may hold more than one of a few threads for more than a few seconds.
"""

import contextlib
import errno
import ipaddress
import logging
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Callable
from typing import Final

from covirt.common.errors import Unavailable

log = logging.getLogger(__name__)

_THREADS: Final = 3
_CLIENT_SECONDS: Final = 5.0
_REQUEST_BYTES: Final = 8192
_LONGEST_PATH: Final = 107  # sun_path, unix(7)
_HEAD: Final = "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"


class MetricsNotServed(Unavailable):
    template = "metrics cannot be served at {listen}: {reason}; change metrics.listen in the configuration"


# Gives a page: its content type, and what there is to tell at this moment.
Render = Callable[[], tuple[str, bytes]]


def check_listen(text: str) -> None:
    """What ``metrics.listen`` may be; raises ValueError with the reason in words."""
    if text.startswith("/"):
        if len(os.fsencode(text)) > _LONGEST_PATH:
            raise ValueError(f"is a path of more than {_LONGEST_PATH} bytes, and a socket's may not be longer")
    elif text:
        _address(text)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError
    except ValueError:
        raise ValueError(f"must be like 127.0.0.1:9177, [::1]:9177 or a path, and is {text!r}") from None
    return str(address), int(port)


class MetricsServer:
    """Serves from start() to stop(), unless ``listen`` (see check_listen) is empty."""

    def __init__(self, listen: str, render: Render, *, name: str) -> None:
        self._name = name  # of the program, for its threads
        self._listen = listen
        self._render = render
        self._rendering = threading.Lock()  # scrapes at the same time would do the same work at the same time
        self._listener: socket.socket | None = None
        self._stop_read, self._stop_write = -1, -1
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """An address that is not to be had is told in the log: guests are managed with and without metrics."""
        if not self._listen:
            return
        try:
            self._listener = _listener(self._listen)
        except OSError as error:
            log.error("%s", MetricsNotServed(listen=self._listen, reason=error.strerror))
            return
        self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC)
        for number in range(_THREADS):
            thread = threading.Thread(
                target=self._serve, args=(self._listener,), name=f"{self._name}-metrics-{number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        log.info("Serving metrics address=%s", self._listen)

    def stop(self) -> None:
        if self._listener is None:
            return
        os.close(self._stop_write)  # which every thread's poll hears of
        for thread in self._threads:
            thread.join(_CLIENT_SECONDS * 2)
        self._listener.close()
        os.close(self._stop_read)
        if self._listen.startswith("/"):
            with contextlib.suppress(OSError):
                os.unlink(self._listen)
        self._listener = None

    def _serve(self, listener: socket.socket) -> None:
        poller = select.poll()
        poller.register(listener, select.POLLIN)
        poller.register(self._stop_read, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poller.poll()}
            if self._stop_read in ready:
                return
            try:
                client, _ = listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):  # it would be ready again at once
                    time.sleep(1.0)
                continue  # another thread took the client, or it left
            try:
                with client:
                    self._answer(client)
            except OSError as error:
                log.debug("A client of the metrics left: %s", error)
            except Exception:  # a thread top: one bad scrape must not end all later ones
                log.exception("Metrics could not be given")

    def _answer(self, client: socket.socket) -> None:
        deadline = time.monotonic() + _CLIENT_SECONDS
        words = _first_line(client, deadline).split(b" ")
        status, kind, body = "200 OK", "text/plain", b""
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            status = "400 Bad Request"
        elif words[0] not in (b"GET", b"HEAD"):
            status = "405 Method Not Allowed"
        elif words[1].partition(b"?")[0] != b"/metrics":
            status = "404 Not Found"
        else:
            with self._rendering:
                kind, body = self._render()
        head = _HEAD.format(status=status, kind=kind, length=len(body))
        client.settimeout(max(0.001, deadline - time.monotonic()))
        client.sendall(head.encode() + (b"" if words[0] == b"HEAD" else body))


def _first_line(client: socket.socket, deadline: float) -> bytes:
    """Of a request that was read to the end of its head. Raises TimeoutError."""
    received = b""
    while b"\r\n\r\n" not in received and len(received) < _REQUEST_BYTES:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("it sends too slowly")
        client.settimeout(left)
        more = client.recv(_REQUEST_BYTES - len(received))
        if not more:
            break
        received += more
    return received.partition(b"\r\n")[0]


def _listener(listen: str) -> socket.socket:
    if listen.startswith("/"):
        return _unix_listener(listen)
    host, port = _address(listen)
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        return _listening(listener)
    except BaseException:
        listener.close()
        raise


def _unix_listener(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):  # of a daemon that was killed: there is one per root
            os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        os.chmod(path, 0o666)  # everybody may look, as on the read-only socket  # noqa: S103
        return _listening(listener)
    except BaseException:
        listener.close()
        raise


def _listening(listener: socket.socket) -> socket.socket:
    listener.listen(16)
    listener.setblocking(False)  # of several threads that wake up, one gets the client
    return listener
