# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where a start spends its time: when each step of the daemon begins and how long it takes, medians in milliseconds.

The daemon runs with a wrapper around each step (traced_daemon.py); writing down a step costs some 0.05 ms.
"""

import argparse
import json
import statistics
import sys
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from tests.performance import entry
from tests.performance.daemon import IDLE, Host, new_host
from tests.performance.figures import Report
from tests.performance.start import RUNTIMES
from tests.performance.traced_daemon import FILE
from tests.support.virtocid import bridge_device, domain_xml

if TYPE_CHECKING:
    import libvirt

_WARM_UP_ROUNDS: Final = 2
_AFTER_SECONDS: Final = 0.05  # for steps that go on after the answer

Spans = dict[tuple[str, str], list[tuple[float, float]]]  # (step, thread) -> began, took


def measure(arguments: argparse.Namespace) -> Report:
    """Start one domain again and again in a daemon that writes down its steps."""
    title = f"Steps of a start with {arguments.runtime}, ms"
    report = Report(name="trace", title=title, columns=("step", "begins", "takes", "in thread"))
    spans: Spans = defaultdict(list)
    with new_host(program=(sys.executable, "-m", "tests.performance.traced_daemon")) as host:
        nic = bridge_device(host.bridge.name, f"{host.bridge.guest_address(10)}/24")
        with host.daemon.connect() as connection:
            domain = connection.defineXML(domain_xml("traced", IDLE, runtime=arguments.runtime, devices=nic))
            for number in range(-_WARM_UP_ROUNDS, arguments.runs):
                _trace(host, domain, spans if number >= 0 else defaultdict(list))
    for (step, thread), times in sorted(
        spans.items(), key=lambda item: statistics.median(began for began, _ in item[1])
    ):
        begins, takes = (statistics.median(figures) for figures in zip(*times, strict=True))
        report.rows.append((step, f"{begins:.2f}", f"{takes:.2f}", thread))
        report.figures[f"{step} in {thread}"] = [took for _, took in times]
    return report


def _trace(host: Host, domain: "libvirt.virDomain", spans: Spans) -> None:
    path = host.daemon.root.path / FILE
    path.write_text("")
    begin = time.perf_counter()  # CLOCK_MONOTONIC: the same clock for all processes
    domain.create()
    end = time.perf_counter()
    time.sleep(_AFTER_SECONDS)
    lines = path.read_text().splitlines()
    domain.destroy()
    spans["virDomainCreate", "the client"].append((0.0, (end - begin) * 1000))
    seen: Counter[str] = Counter()
    for name, thread, began, ended in sorted(map(json.loads, lines), key=lambda span: span[2]):
        seen[name] += 1
        which = name if seen[name] == 1 else f"{name} ({seen[name]})"
        spans[which, thread.rstrip("0123456789_- ")].append(((began - begin) * 1000, (ended - began) * 1000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=30, metavar="N", help="starts that count (30)")
    parser.add_argument("--runtime", choices=RUNTIMES, default=RUNTIMES[0])
    entry.main("trace", parser, measure)


if __name__ == "__main__":
    main()
