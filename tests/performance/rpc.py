# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a call costs: of covirt-host over mutual TLS, by one client and by four at once that do nothing but ask.

Host.ping2 is answered where the bytes come in; Host.getVMList, of no guest, by a worker.
"""

import argparse
import multiprocessing
import socket
import statistics
import time
from multiprocessing.synchronize import Barrier
from typing import Final

from covirt.rpc.jsonrpc import Request
from covirt.rpc.stomp import Frame
from covirt.rpc.tls import TlsFiles, client_context
from tests.performance import entry
from tests.performance.figures import Report, Series, Verdict
from tests.support.covirt_host import CovirtHost
from tests.support.raw_stomp import REQUESTS, RawStomp
from tests.support.roots import new_root

_ONE_MICROSECONDS: Final = 300
_FOUR_PER_SECOND: Final = 3000
_CLIENTS: Final = 4
_CALLS: Final = 500  # a round


def measure(arguments: argparse.Namespace) -> Report:
    """Microseconds of a call, rounds of some hundred calls each."""
    report = Report(name="rpc", title="Calls over mutual TLS, µs a call", columns=("what", "median", "best", "worst"))
    with new_root() as root:
        host = CovirtHost(root, log_level="info")
        host.start()
        try:
            files = TlsFiles.in_directory(host.pki)
            for method in ("Host.ping2", "Host.getVMList"):
                one = [statistics.median(_ask(host.port, files, method)) for _ in range(arguments.runs)]
                report.add(f"{method}, 1 client", Series(tuple(one)))
                four = [_ask_at_once(host.port, files, method) for _ in range(arguments.runs)]
                report.add(f"{method}, {_CLIENTS} clients", Series(tuple(four)))
        finally:
            host.stop()
    report.verdicts += [
        _verdict(report, "Host.ping2, 1 client", _ONE_MICROSECONDS),
        _verdict(report, f"Host.ping2, {_CLIENTS} clients", 1_000_000 / _FOUR_PER_SECOND),
    ]
    return report


def _verdict(report: Report, what: str, limit: float) -> Verdict:
    return Verdict(what=what, value=statistics.median(report.figures[what]), limit=limit, unit=" µs")


def _frame(method: str) -> bytes:
    body = Request(method=method, params={}, id="1").encode()
    return Frame(command="SEND", headers={"destination": REQUESTS, "reply-to": "mine"}, body=body).encode()


def _ask(port: int, files: TlsFiles, method: str) -> list[float]:
    """Microseconds of each call."""
    with RawStomp(port, client_context(files)) as client:
        return [_call(client.socket, _frame(method)) for _ in range(_CALLS)]


def _call(connection: socket.socket, frame: bytes) -> float:
    began = time.perf_counter()
    connection.sendall(frame)
    while not connection.recv(4096).endswith(b"\0"):
        pass
    return (time.perf_counter() - began) * 1_000_000


def _ask_at_once(port: int, files: TlsFiles, method: str) -> float:
    """Microseconds that a call takes of all clients' time together."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(_CLIENTS + 1)
    processes = [context.Process(target=_ask_in_step, args=(port, files, method, barrier)) for _ in range(_CLIENTS)]
    for process in processes:
        process.start()
    barrier.wait()
    began = time.perf_counter()
    barrier.wait()
    took = time.perf_counter() - began
    for process in processes:
        process.join()
    return took * 1_000_000 / (_CALLS * _CLIENTS)


def _ask_in_step(port: int, files: TlsFiles, method: str, barrier: Barrier) -> None:
    with RawStomp(port, client_context(files)) as client:
        barrier.wait()
        for _ in range(_CALLS):
            _call(client.socket, _frame(method))
        barrier.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20, help="rounds of each kind (20)")
    entry.main("rpc", parser, measure)


if __name__ == "__main__":
    main()
