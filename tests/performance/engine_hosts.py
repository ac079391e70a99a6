# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What it costs the engine to keep its hosts and their guests up to date.

The program itself, mutual TLS to simulated hosts in another process; all figures of all guests change between two
polls. An engine without hosts runs beside it, which shows what the hosts add. Nobody asks either anything meanwhile.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from covirt.common.process import PIPE, Child, spawn
from covirt.common.root import Root
from covirt.engine.model.host import Host, HostFacts, HostStatus
from covirt.engine.model.vm import VmFacts, VmStatus
from covirt.engine.pki.certificates import new_server, read_keyed
from covirt.engine.store.store import Store
from tests.performance import entry
from tests.performance.engine_fleet import address, vm_id
from tests.performance.figures import Report, Verdict
from tests.support.covirt_engine import CovirtEngine
from tests.support.engine_objects import new_id, new_vm
from tests.support.roots import new_root
from tests.support.waiting import wait_until

_CORES: Final = 1.0  # at most
_READY_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 5.0


def measure(arguments: argparse.Namespace) -> Report:
    report = Report(
        name="engine_hosts",
        title=f"covirt-engine with {arguments.hosts} hosts of {arguments.guests} guests, {arguments.seconds:g} s",
        columns=("what", "with hosts", "without"),
    )
    with (
        new_root() as root,
        new_root() as other,
        _engine(root) as engine,
        _engine(other) as idle,
        _fleet(root, engine, arguments.hosts, arguments.guests) as fleet,
        closing(Store.open(engine.database_url)) as store,
    ):
        wait_until(lambda: _up(store) == arguments.hosts, timeout_seconds=_READY_SECONDS, what="all hosts up")
        time.sleep(arguments.settle)
        _measure(report, engine, idle, fleet, store, arguments.seconds)
    return report


def _measure(
    report: Report, engine: CovirtEngine, idle: CovirtEngine, fleet: Child, store: Store, seconds: float
) -> None:
    before, began = [_cpu_seconds(pid) for pid in (engine.pid, idle.pid, fleet.pid)], time.monotonic()
    hosts: list[float] = []
    guests: list[float] = []
    while time.monotonic() - began < seconds:
        time.sleep(_LOOK_SECONDS)
        for ages, found in zip((hosts, guests), _ages(store), strict=True):
            ages.append(max(found))
    took = time.monotonic() - began
    used = [
        (_cpu_seconds(pid) - past) / took for pid, past in zip((engine.pid, idle.pid, fleet.pid), before, strict=True)
    ]
    memory = [psutil.Process(child.pid).memory_info().rss / (1 << 20) for child in (engine, idle)]
    report.rows += [
        ("processor, share of a core", f"{used[0]:.2f}", f"{used[1]:.2f}"),
        ("memory, MiB", f"{memory[0]:.0f}", f"{memory[1]:.0f}"),
        ("oldest answer of a host, s", f"{max(hosts):.1f}", ""),
        ("oldest figures of a guest, s", f"{max(guests):.1f}", ""),
        ("the simulated hosts themselves, share of a core", f"{used[2]:.2f}", ""),
    ]
    report.figures |= {"cores": used, "memory": memory, "hosts": hosts, "guests": guests}
    report.verdicts.append(Verdict(what="processor", value=used[0], limit=_CORES, unit=" cores"))


def _ages(store: Store) -> tuple[Sequence[float], Sequence[float]]:
    """In seconds, of what is known of hosts and of guests."""
    with store.read() as session:
        hosts = [host.facts.seen_at for host in session.hosts.list()]
        guests = [vm.facts.seen_at for vm in session.vms.list()]
    now = datetime.now(UTC)
    return [(now - seen).total_seconds() for seen in hosts if seen], [
        (now - seen).total_seconds() for seen in guests if seen
    ]


def _up(store: Store) -> int:
    with store.read() as session:
        return sum(host.facts.status is HostStatus.UP for host in session.hosts.list())


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def _engine(root: Root) -> Iterator[CovirtEngine]:
    engine = CovirtEngine(root)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@contextmanager
def _fleet(root: Root, engine: CovirtEngine, hosts: int, guests: int) -> Iterator[Child]:
    pki = root.state_dir / "engine/pki"
    pem = root.path / "fleet.pem"
    new_server(read_keyed(pki / "authority.pem"), [address(number) for number in range(hosts)]).write(pem)
    argv: list[str | Path] = [pem, engine.ca_file, str(hosts), str(guests)]
    with spawn([sys.executable, "-m", "tests.performance.engine_fleet", *argv], stdin=PIPE, stdout=PIPE) as fleet:
        ports = json.loads(fleet.stdout.readline())
        engine.stop()
        _fill(engine.database_url, ports, guests)
        engine.start()
        yield fleet
        fleet.stdin.close()


def _fill(url: str, ports: Sequence[int], guests: int) -> None:
    store = Store.open(url)
    try:
        with store.write() as session:
            (cluster,) = session.clusters.list()
            for number, port in enumerate(ports):
                host = Host(
                    id=new_id(),
                    name=f"host{number:02}",
                    cluster_id=cluster.id,
                    address=address(number),
                    port=port,
                    facts=HostFacts(status=HostStatus.UNASSIGNED),
                )
                session.hosts.add(host)
                for guest in range(guests):
                    vm = new_vm(cluster, f"vm{number:02}-{guest:02}")
                    facts = VmFacts(status=VmStatus.UP, host_id=host.id)
                    session.vms.add(dataclasses.replace(vm, id=vm_id(number, guest), facts=facts))
    finally:
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--hosts", type=int, default=50, help="hosts (50)")
    parser.add_argument("--guests", type=int, default=40, help="guests of each (40)")
    parser.add_argument("--settle", type=float, default=30, help="seconds before it is measured (30)")
    parser.add_argument("--seconds", type=float, default=120, help="seconds of measuring (120)")
    entry.main("engine_hosts", parser, measure)


if __name__ == "__main__":
    main()
