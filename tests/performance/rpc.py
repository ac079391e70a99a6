# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a call costs on its way: Host.ping2 over mutual TLS, of one client and of four at once.

The server is a process of its own, as a host's is; the clients are programs that do nothing but ask.
"""

import argparse
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Final

from covirt.rpc.server import RpcServer
from covirt.rpc.stomp import Frame
from covirt.rpc.tls import TlsFiles, client_context, server_context
from tests.performance import entry
from tests.performance.figures import Report, Series, Verdict
from tests.support.authority import TestAuthority
from tests.support.raw_stomp import REQUESTS, PlayService, RawStomp

_ONE_MICROSECONDS: Final = 300
_FOUR_PER_SECOND: Final = 3000
_CLIENTS: Final = 4
_CALLS: Final = 500  # a round
_CALL: Final = Frame(
    command="SEND",
    headers={"destination": REQUESTS, "reply-to": "mine"},
    body=b'{"jsonrpc":"2.0","method":"Host.ping2","params":{},"id":"1"}',
).encode()


class Ping(PlayService):
    """Answers at once, or in a thread when ``threaded``."""

    def __init__(self, *, threaded: bool) -> None:
        super().__init__()
        self._inline = not threaded

    def is_inline(self, method: str) -> bool:
        return self._inline and method == "Host.ping2"

    def is_quick(self, method: str) -> bool:
        return method == "Host.ping2"


def measure(arguments: argparse.Namespace) -> Report:
    """Microseconds of a call, rounds of some hundred calls each."""
    report = Report(
        name="rpc", title="Host.ping2 over mutual TLS, µs a call", columns=("what", "median", "best", "worst")
    )
    with tempfile.TemporaryDirectory(prefix="covirt-bench-") as directory:
        files = TestAuthority().issue(Path(directory))
        for threaded, where in ((False, "in the loop"), (True, "by a worker")):
            with _served(files, threaded=threaded) as port:
                one = [statistics.median(_ask(port, files)) for _ in range(arguments.runs)]
                report.add(f"1 client, answered {where}", Series(tuple(one)))
                four = [_ask_at_once(port, files) for _ in range(arguments.runs)]
                report.add(f"{_CLIENTS} clients, answered {where}, a call", Series(tuple(four)))
            if not threaded:
                report.verdicts += [
                    Verdict(
                        what="ping2, one client", value=statistics.median(one), limit=_ONE_MICROSECONDS, unit=" µs"
                    ),
                    Verdict(
                        what=f"ping2, {_CLIENTS} clients, a call",
                        value=statistics.median(four),
                        limit=1_000_000 / _FOUR_PER_SECOND,
                        unit=" µs",
                    ),
                ]
    return report


@contextmanager
def _served(files: TlsFiles, *, threaded: bool) -> Iterator[int]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(files, threaded, theirs))
    process.start()
    try:
        yield int(ours.recv())
    finally:
        ours.send(None)
        process.join()


def _serve(files: TlsFiles, threaded: bool, parent: Connection) -> None:
    server = RpcServer(Ping(threaded=threaded), tls=server_context(files), listen="127.0.0.1", port=0)
    server.start()
    parent.send(server.port)
    parent.recv()
    server.stop()


def _ask(port: int, files: TlsFiles, calls: int = _CALLS) -> list[float]:
    """Microseconds of each call."""
    with RawStomp(port, client_context(files)) as client:
        return [_call(client.socket) for _ in range(calls)]


def _call(connection: socket.socket) -> float:
    began = time.perf_counter()
    connection.sendall(_CALL)
    while not connection.recv(4096).endswith(b"\0"):
        pass
    return (time.perf_counter() - began) * 1_000_000


def _ask_at_once(port: int, files: TlsFiles) -> float:
    """Microseconds that a call takes of all clients' time together."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(_CLIENTS + 1)
    processes = [context.Process(target=_ask_in_step, args=(port, files, barrier)) for _ in range(_CLIENTS)]
    for process in processes:
        process.start()
    barrier.wait()
    began = time.perf_counter()
    barrier.wait()
    took = time.perf_counter() - began
    for process in processes:
        process.join()
    return took * 1_000_000 / (_CALLS * _CLIENTS)


def _ask_in_step(port: int, files: TlsFiles, barrier: Barrier) -> None:
    with RawStomp(port, client_context(files)) as client:
        barrier.wait()
        for _ in range(_CALLS):
            _call(client.socket)
        barrier.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20, help="rounds of each kind (20)")
    entry.main("rpc", parser, measure)


if __name__ == "__main__":
    main()
