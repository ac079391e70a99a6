# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What statistics of many containers cost: one getAllDomainStats call beside the bare reads of the same files.

Also how long virtocid takes, with all these containers running, from its start to its first answer.
"""

import argparse
import contextlib
import time
from collections.abc import Sequence
from typing import Final

import libvirt

from tests.performance import bare_reads, entry
from tests.performance.daemon import Host, new_host
from tests.performance.figures import Report, Series, Verdict
from tests.performance.fleet import RUNTIME, Fleet

_OF_BARE_READS: Final = 1.8
_GROWTH: Final = 1.2
_START_SECONDS: Final = 2.0
_SETTLE_SECONDS: Final = 2.0
_WARM_UP_ROUNDS: Final = 3
_RESTARTS: Final = 5
_RETRY_SECONDS: Final = 0.005


def measure(arguments: argparse.Namespace) -> Report:
    """Milliseconds of the call and of the bare reads, at each number of containers."""
    title = f"Statistics of running containers ({RUNTIME}, one NIC each), ms"
    report = Report(name="stats", title=title, columns=("what", "median", "best", "worst"))
    with new_host() as host:
        fleet = Fleet(host)
        for size in sorted(arguments.containers):
            fleet.grow(size)
            time.sleep(_SETTLE_SECONDS)
            _measure_calls(report, host, fleet, arguments.runs)
        restarts = [_restart(host, size) for _ in range(min(_RESTARTS, arguments.runs))]
        report.add(_restarts(size), Series(tuple(restarts)))
    _judge(report, sorted(arguments.containers))
    return report


def _measure_calls(report: Report, host: Host, fleet: Fleet, runs: int) -> None:
    size = len(fleet.uuids)
    files = bare_reads.files_of(fleet.cgroup_paths)
    bare, calls = [], []
    with host.daemon.connect() as connection:
        for number in range(-_WARM_UP_ROUNDS, runs):
            pair = bare_reads.milliseconds(files), _call(connection, size)
            if number >= 0:
                bare.append(pair[0])
                calls.append(pair[1])
    report.add(_bare(size), Series(tuple(bare)))
    report.add(_calls(size), Series(tuple(calls)))
    report.notes.append(f"{size} containers: {len(files)} files of cgroups and /proc/net/dev")


def _call(connection: "libvirt.virConnect", size: int) -> float:
    begin = time.perf_counter()
    records = connection.getAllDomainStats()
    took = (time.perf_counter() - begin) * 1000
    assert len(records) == size
    return took


def _restart(host: Host, size: int) -> float:
    """Milliseconds from the start of the program to its answer of a list, after a kill -9."""
    host.daemon.kill()
    begin = time.perf_counter()
    host.daemon.launch()
    while True:
        with contextlib.suppress(libvirt.libvirtError), host.daemon.connect(readonly=True) as connection:
            found = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING)
            took = (time.perf_counter() - begin) * 1000
            assert len(found) == size
            return took
        time.sleep(_RETRY_SECONDS)


def _bare(size: int) -> str:
    return f"{size} containers: bare reads"


def _calls(size: int) -> str:
    return f"{size} containers: getAllDomainStats"


def _restarts(size: int) -> str:
    return f"{size} containers: virtocid until its first answer"


def _judge(report: Report, sizes: Sequence[int]) -> None:
    def median(what: str) -> float:
        return Series(tuple(report.figures[what])).median

    for size in sizes:
        ratio = median(_calls(size)) / median(_bare(size))
        report.verdicts.append(
            Verdict(what=f"{size} containers: call to bare reads", value=ratio, limit=_OF_BARE_READS)
        )
    first, last = sizes[0], sizes[-1]
    growth = (median(_calls(last)) / last) / (median(_calls(first)) / first)
    seconds = median(_restarts(last)) / 1000
    report.verdicts += [
        Verdict(what=f"cost of one container, {last} to {first}", value=growth, limit=_GROWTH),
        Verdict(what=f"start with {last} containers", value=seconds, limit=_START_SECONDS, unit=" s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=30, metavar="N", help="calls that count (30)")
    parser.add_argument(
        "--containers", type=int, nargs="+", default=[100, 500], metavar="N", help="how many (100 and 500)"
    )
    entry.main("stats", parser, measure)


if __name__ == "__main__":
    main()
