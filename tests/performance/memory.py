# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What idle containers cost in memory beside their own processes, and what virtocid takes with all of them.

Proportional memory (PSS): a page that several processes share counts for each of them in equal parts.
"""

import argparse
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.performance import entry
from tests.performance.daemon import Host, new_host
from tests.performance.figures import Report, Series, Verdict
from tests.performance.fleet import RUNTIME, Fleet

_PER_CONTAINER_MIB: Final = 1.0
_DAEMON_MIB: Final = 100.0
_SETTLE_SECONDS: Final = 2.0
_KIB: Final = 1024


def measure(arguments: argparse.Namespace) -> Report:
    """MiB of conmon and its like, of the daemon before and after, and of the kernel."""
    title = f"Memory with {arguments.containers} idle containers ({RUNTIME}, one NIC each), MiB"
    report = Report(name="memory", title=title, columns=("what", "MiB"))
    with new_host() as host:
        fleet = Fleet(host)
        fleet.grow(1)  # the first start loads what all starts need
        time.sleep(_SETTLE_SECONDS)
        first, kernel_first = _of_daemon(host), _kernel_mib()
        fleet.grow(arguments.containers)
        _ask_for_statistics(host)
        time.sleep(_SETTLE_SECONDS)
        _fill(report, host, fleet, first=first, kernel_mib=_kernel_mib() - kernel_first)
    return report


def _fill(report: Report, host: Host, fleet: Fleet, *, first: "tuple[float, float]", kernel_mib: float) -> None:
    size = len(fleet.uuids)
    processes = fleet.supervisor_processes()
    beside = sum(_mib(pid, "Pss") for pid in processes) / size
    rss, pss = _of_daemon(host)
    grown = (pss - first[1]) / max(1, size - 1)
    for what, value in (
        (f"a container: {len(processes) / size:g} process beside its own (PSS)", beside),
        ("a container: growth of virtocid (PSS)", grown),
        ("a container: kernel memory, its own processes' included", kernel_mib / max(1, size - 1)),
        ("virtocid with 1 container: RSS", first[0]),
        ("virtocid with 1 container: PSS", first[1]),
        (f"virtocid with {size} containers: RSS", rss),
        (f"virtocid with {size} containers: PSS", pss),
    ):
        report.rows.append((what, f"{value:.2f}"))
        report.figures[what] = Series((value,)).values
    report.verdicts += [
        Verdict(
            what="PSS of a container beside its own processes",
            value=beside + grown,
            limit=_PER_CONTAINER_MIB,
            unit=" MiB",
        ),
        Verdict(what=f"virtocid with {size} containers", value=max(rss, pss), limit=_DAEMON_MIB, unit=" MiB"),
    ]


def _of_daemon(host: Host) -> tuple[float, float]:
    """RSS and PSS."""
    return _mib(host.daemon.pid, "Rss"), _mib(host.daemon.pid, "Pss")


def _mib(pid: int, field: str) -> float:
    return _field_kib(Path(f"/proc/{pid}/smaps_rollup"), field) / _KIB


def _kernel_mib() -> float:
    """Of the whole machine: slab, stacks, page tables and per-CPU memory; others' work shows in it, too."""
    fields: Iterable[str] = ("Slab", "KernelStack", "PageTables", "Percpu")
    return sum(_field_kib(Path("/proc/meminfo"), field) for field in fields) / _KIB


def _field_kib(path: Path, field: str) -> int:
    match = re.search(rf"^{field}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    assert match is not None, f"{path} has no {field}"
    return int(match[1])


def _ask_for_statistics(host: Host) -> None:
    """What it keeps for them counts, too."""
    with host.daemon.connect() as connection:
        connection.getAllDomainStats()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--containers", type=int, default=500, metavar="N", help="how many (500)")
    entry.main("memory", parser, measure)


if __name__ == "__main__":
    main()
