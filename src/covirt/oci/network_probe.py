# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Questions asked from inside a container's network: does a port answer, and with which HTTP status.

Whoever answers is the container's, and may be hostile: everything has one deadline, no more than the first line of an
answer is read, and nothing it says is followed. The socket is the only thing of ours inside: no process, no file.
"""

import ipaddress
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.errors import Unavailable
from covirt.oci.namespace_socket import socket_inside

_FIRST_LINE_BYTES: Final = 4096
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")


class ProbeFailed(Unavailable):
    template = "{what}: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to ask, as seen from inside the network namespace that is bound at ``namespace``."""

    namespace: Path
    address: str
    port: int

    @property
    def text(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def probe_tcp(endpoint: Endpoint, *, timeout_seconds: float) -> None:
    """Connect, and hang up. Raises ProbeFailed."""
    _connect(endpoint, _Deadline(timeout_seconds)).close()


def probe_http(endpoint: Endpoint, *, path: str, host: str, timeout_seconds: float) -> int:
    """GET ``path``; the status of the answer, whatever it is. Raises ProbeFailed.

    ``path`` and ``host`` must be without spaces and line breaks.
    """
    deadline = _Deadline(timeout_seconds)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: covirt-health\r\nConnection: close\r\n\r\n"
    with _connect(endpoint, deadline) as client:
        try:
            client.settimeout(deadline.left_seconds)
            client.sendall(request.encode("ascii"))
            return _status(_first_line(client, deadline))
        except TimeoutError as error:
            raise ProbeFailed(what=endpoint.text, reason=deadline.passed) from error
        except OSError as error:
            raise ProbeFailed(what=endpoint.text, reason=error.strerror or error) from error
        except ValueError as error:
            raise ProbeFailed(what=endpoint.text, reason=error) from error


class _Deadline:
    """One for all steps: an answer that comes a byte at a time takes no longer than none."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left_seconds(self) -> float:
        """More than nothing, which would mean "do not wait" to a socket. Raises TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    @property
    def passed(self) -> str:
        return f"no answer within {self._seconds:g} seconds"


def _connect(endpoint: Endpoint, deadline: _Deadline) -> socket.socket:
    try:
        client = socket_inside(endpoint.namespace, _family(endpoint.address), socket.SOCK_STREAM)
        try:
            client.settimeout(deadline.left_seconds)
            client.connect((endpoint.address, endpoint.port))
        except BaseException:
            client.close()
            raise
    except TimeoutError as error:
        raise ProbeFailed(what=endpoint.text, reason=deadline.passed) from error
    except OSError as error:
        raise ProbeFailed(what=endpoint.text, reason=error.strerror or error) from error
    return client


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET


def _first_line(client: socket.socket, deadline: _Deadline) -> bytes:
    received = b""
    while b"\n" not in received and len(received) < _FIRST_LINE_BYTES:
        client.settimeout(deadline.left_seconds)
        more = client.recv(_FIRST_LINE_BYTES - len(received))
        if not more:
            break
        received += more
    return received


def _status(line: bytes) -> int:
    match = _STATUS_LINE.match(line)
    if match is None:
        raise ValueError("the answer is not HTTP" if line else "it hung up without an answer")
    return int(match[1])
