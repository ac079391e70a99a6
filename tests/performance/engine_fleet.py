# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Many simulated hosts in one process, each at an address of its own, with guests whose figures never stand still.

``python -m tests.performance.engine_fleet PEM CA HOSTS GUESTS`` prints the ports as JSON when all listen, and
ends with its input. PEM holds a key and its certificate.
"""

import json
import random
import select
import ssl
import sys
from collections.abc import Iterator
from typing import Any, Final

from covirt.rpc.jsonrpc import Answer, Request
from tests.support.host_answers import vm_stats
from tests.support.simulated_hosts import SimulatedHost

_EVENT_SECONDS: Final = 1.0  # one host after the other tells that a guest was paused or goes on


class BusyHost(SimulatedHost):
    """All its guests have other figures each time somebody asks."""

    def answer(self, request: Request, *, client: str, flow_id: str) -> Answer:
        self.calls.clear()
        self.flows.clear()
        if request.method == "Host.getAllVmStats":
            guests = [{**stats, **_figures()} for stats in list(self.vms.values())]
            return Answer(id=request.id, result=guests)
        return super().answer(request, client=client, flow_id=flow_id)


def address(host: int) -> str:
    """Where a host listens: no two hosts of an engine have one address."""
    return f"127.0.1.{host + 1}"


def vm_id(host: int, guest: int) -> str:
    """Of a guest of a host."""
    return f"00000000-0000-4000-8000-{host * 1000 + guest:012x}"


def _figures() -> dict[str, Any]:
    return {
        "cpuUser": f"{random.uniform(0, 100):.2f}",  # noqa: S311 - nothing secret
        "cpuSys": f"{random.uniform(0, 20):.2f}",  # noqa: S311
        "memUsage": str(random.randrange(100)),  # noqa: S311
    }


def _changes(fleet: list[BusyHost], guests: int) -> Iterator[None]:
    """Tells one event at each step."""
    number = 0
    while True:
        host = number % len(fleet)
        paused = (number // len(fleet)) % 2 == 0
        fleet[host].tell(vm_id(host, number % guests), status="Paused" if paused else "Up")
        number += 1
        yield


def main(pem: str, authority: str, hosts: str, guests: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(pem)
    context.load_verify_locations(authority)
    fleet = [BusyHost(tls=context, address=address(number)) for number in range(int(hosts))]
    for number, host in enumerate(fleet):
        host.vms = {vm_id(number, guest): vm_stats(vm_id(number, guest)) for guest in range(int(guests))}
        host.start()
    print(json.dumps([host.port for host in fleet]), flush=True)  # noqa: T201 - it is a program
    changes = _changes(fleet, int(guests))
    while not select.select([sys.stdin], [], [], _EVENT_SECONDS)[0]:
        next(changes)
    for host in fleet:
        host.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
