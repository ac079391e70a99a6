# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How long a start takes: virDomainCreate with every default on and one bridged NIC, beside its floor and podman.

In each round every program starts one container; the next round goes the other way round, so that none always comes
after the same one. What ends and removes the containers is outside the time.
"""

import argparse
import contextlib
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tests.performance import entry
from tests.performance.daemon import IDLE, Host, new_host
from tests.performance.figures import Report, Series, Verdict
from tests.performance.floor import Bundle, ready_floor
from tests.performance.podman import new_podman
from tests.support.processes import our_processes, without_families_of
from tests.support.virtocid import bridge_device, domain_xml
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import libvirt

RUNTIMES: Final = ("runc", "crun")
_OVER_FLOOR_MS: Final = 20.0
_OF_PODMAN: Final = 0.6
_SECONDS: Final = 30.0
_WARM_UP_ROUNDS: Final = 2

Starts = dict[str, Callable[[], float]]


def measure(arguments: argparse.Namespace) -> Report:
    """Milliseconds of each start of each program."""
    report = Report(name="start", title="From the call to running, ms", columns=("start", "median", "best", "worst"))
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(new_host())
        connection = stack.enter_context(host.daemon.connect())
        podman = stack.enter_context(new_podman(host))
        starts: dict[str, Callable[[], float]] = {}
        for number, runtime in enumerate(arguments.runtimes):
            domain = _define(connection, host, runtime, number)
            domain.create()
            captured = Bundle.of(host, domain.UUIDString())
            domain.destroy()
            floor = stack.enter_context(ready_floor(runtime, captured, host))
            starts |= _starts(runtime, domain, floor.milliseconds, podman.milliseconds, captured.first_id)
        for what, values in _in_rounds(starts, arguments.runs).items():
            report.add(what, Series(tuple(values)))
    _judge(report, arguments.runtimes)
    return report


def _starts(
    runtime: str, domain: "libvirt.virDomain", floor: Callable[[], float], podman: Callable[..., float], first_id: int
) -> Starts:
    return {
        f"{runtime} covirt": lambda: _create_and_destroy(domain),
        f"{runtime} floor": floor,
        f"{runtime} podman": lambda: podman(runtime, first_id=first_id),
    }


def _define(connection: "libvirt.virConnect", host: Host, runtime: str, number: int) -> "libvirt.virDomain":
    nic = bridge_device(host.bridge.name, f"{host.bridge.guest_address(10 + number)}/24")
    return connection.defineXML(domain_xml(f"bench-{runtime}", IDLE, runtime=runtime, devices=nic))


def _create_and_destroy(domain: "libvirt.virDomain") -> float:
    begin = time.perf_counter()
    domain.create()
    took = (time.perf_counter() - begin) * 1000
    assert domain.isActive()
    domain.destroy()
    return took


def _in_rounds(starts: Starts, runs: int) -> dict[str, list[float]]:
    before = our_processes()
    figures: dict[str, list[float]] = {what: [] for what in starts}
    for number in range(-_WARM_UP_ROUNDS, runs):
        order = list(starts) if number % 2 else list(reversed(starts))
        for what in order:
            took = starts[what]()
            _wait_for_quiet(before)
            if number >= 0:
                figures[what].append(took)
    return figures


def _wait_for_quiet(before: Mapping[Hashable, str]) -> None:
    """Until nothing of the last container runs any more, so that its end is not on the next one's time."""
    wait_until(
        lambda: not _new_processes(before),
        timeout_seconds=_SECONDS,
        what="the end of the last container",
    )


def _new_processes(before: Mapping[Hashable, str]) -> Mapping[Hashable, str]:
    return without_families_of(before, {key: word for key, word in our_processes().items() if key not in before})


def _judge(report: Report, runtimes: Sequence[str]) -> None:
    def median(what: str) -> float:
        return Series(tuple(report.figures[what])).median

    for runtime in runtimes:
        ours, floor, podman = (median(f"{runtime} {who}") for who in ("covirt", "floor", "podman"))
        report.verdicts += [
            Verdict(what=f"{runtime}: over the floor", value=ours - floor, limit=_OVER_FLOOR_MS, unit=" ms"),
            Verdict(what=f"{runtime}: share of podman's time", value=ours / podman, limit=_OF_PODMAN),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=30, metavar="N", help="rounds that count (30)")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=RUNTIMES, help="only these (both)")
    entry.main("start", parser, measure)


if __name__ == "__main__":
    main()
