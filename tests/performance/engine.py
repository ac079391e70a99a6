# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an answer of the engine's API costs as its database grows.

The program itself, HTTPS, one client that keeps its connection. Both sizes are asked in turn, so that what disturbs
one disturbs the other.
"""

import argparse
import dataclasses
import http.client
import ssl
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final
from urllib.parse import urlencode

from covirt.engine.model.cluster import Cluster
from covirt.engine.model.hardware import CustomProperty, Hardware
from covirt.engine.model.vm import Nic, Snapshot, SnapshotType, Vm
from covirt.engine.store.store import Store
from tests.performance import entry
from tests.performance.figures import Report, Verdict
from tests.support.covirt_engine import CovirtEngine
from tests.support.engine_objects import NOON, new_id, new_vm
from tests.support.roots import new_root

_GROWTH: Final = 1.3  # at most, from the smaller database to the larger one
_MEMORY_MIB: Final = 400
_API: Final = "/ovirt-engine/api"


@dataclasses.dataclass
class Engine:
    """A running engine with so many machines, and a connection to it."""

    running: CovirtEngine
    vms: int
    token: str = ""
    connection: http.client.HTTPSConnection | None = None

    def ask(self, path: str) -> float:
        """Milliseconds until the whole answer is there."""
        assert self.connection is not None
        began = time.perf_counter()
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        answer = self.connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1000
        assert answer.status == 200, body
        return took

    @property
    def memory_mib(self) -> float:
        with open(f"/proc/{self.running.pid}/status", encoding="ascii") as stream:
            fields = dict(line.split(":", 1) for line in stream)
        return int(fields["VmRSS"].split()[0]) / 1024


def measure(arguments: argparse.Namespace) -> Report:
    """Rounds of one request of each kind to each engine."""
    report = Report(
        name="engine",
        title="Answers of the engine's API, milliseconds",
        columns=("what", "p50", "p99", "worst"),
    )
    small, large = sorted(arguments.vms)
    with ExitStack() as stack:
        engines = [stack.enter_context(_engine(vms)) for vms in (small, large)]
        took = _rounds(engines, arguments.runs)
        memory = engines[-1].memory_mib
    for (what, vms), values in took.items():
        report.rows.append((f"{what}, {vms:,} VMs", *_cells(values)))
        report.figures[f"{what}, {vms} VMs"] = values
    report.figures["memory"] = [memory]
    for what in _requests(small):
        growth = statistics.median(took[what, large]) / statistics.median(took[what, small])
        report.verdicts.append(Verdict(what=f"{what}, {large:,} to {small:,}", value=growth, limit=_GROWTH))
    report.verdicts.append(Verdict(what=f"memory with {large:,} VMs", value=memory, limit=_MEMORY_MIB, unit=" MiB"))
    return report


def _rounds(engines: Sequence[Engine], runs: int) -> dict[tuple[str, int], list[float]]:
    took: dict[tuple[str, int], list[float]] = {}
    for engine in engines:
        for path in _requests(engine.vms).values():
            engine.ask(path)  # whatever is made at the first time only
    for _ in range(runs):
        for what in _requests(engines[0].vms):
            for engine in engines:
                took.setdefault((what, engine.vms), []).append(engine.ask(_requests(engine.vms)[what]))
    return took


def _requests(vms: int) -> Mapping[str, str]:
    middle = vms // 2
    return {
        "GET /vms?max=100": f"{_API}/vms?max=100",
        "GET /vms/{id}": f"{_API}/vms/{_vm_id(middle)}",
        "GET /vms?search=name=x": f"{_API}/vms?{urlencode({'search': f'name={_vm_name(middle)}'})}",
        "GET /vms?max=100&follow=nics": f"{_API}/vms?max=100&follow=nics",
    }


def _cells(values: Sequence[float]) -> tuple[str, str, str]:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{statistics.median(values):.1f}", f"{p99:.1f}", f"{ordered[-1]:.1f}"


@contextmanager
def _engine(vms: int) -> Iterator[Engine]:
    with new_root() as root:
        running = CovirtEngine(root)
        running.start()
        try:
            running.stop()  # it has made its database
            _fill(running.database_url, vms)
            running.start()
            engine = Engine(running, vms)
            context = ssl.create_default_context(cafile=str(running.ca_file))
            engine.connection = http.client.HTTPSConnection("localhost", running.port, context=context, timeout=60)
            engine.token = running.token()
            yield engine
            engine.connection.close()
        finally:
            running.stop()


def _fill(url: str, vms: int) -> None:
    store = Store.open(url)
    try:
        with store.write() as session:
            cluster = session.clusters.list()[0]
            profile = session.vnic_profiles.list()[0]
            for number in range(vms):
                vm = _vm(cluster, number)
                session.vms.add(vm)
                session.nics.add(
                    Nic(id=new_id(), name="nic1", vm_id=vm.id, mac=_mac(number), vnic_profile_id=profile.id)
                )
                session.snapshots.add(
                    Snapshot(id=new_id(), vm_id=vm.id, type=SnapshotType.ACTIVE, date=NOON, description="Active VM")
                )
    finally:
        store.close()


def _vm(cluster: Cluster, number: int) -> Vm:
    """No two are alike in what is read whole, as in life."""
    hardware = Hardware(
        memory_bytes=(1 << 30) + number * (1 << 20),
        custom_properties=(CustomProperty(name="sndbuf", value=str(number)),),
    )
    vm = new_vm(cluster, _vm_name(number))
    return dataclasses.replace(vm, id=_vm_id(number), hardware=hardware, description=f"machine {number}")


def _vm_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number * 7919 % 1_000_003:012x}"


def _vm_name(number: int) -> str:
    return f"vm{number:06}"


def _mac(number: int) -> str:
    return f"56:6f:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=200, help="requests of each kind to each engine (200)")
    parser.add_argument("--vms", type=int, nargs=2, default=[1000, 10_000], help="machines (1000 10000)")
    entry.main("engine", parser, measure)


if __name__ == "__main__":
    main()
