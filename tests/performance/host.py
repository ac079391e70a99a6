# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What covirt-host adds to libvirt: statistics of many guests as an engine gets them, and a container's start."""

import argparse
import contextlib
import gc
import json
import re
import time
from pathlib import Path
from typing import Final

import libvirt

from covirt.host.virt.container_xml import apply_properties
from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.kinds import Kind
from covirt.host.virt.ovirt_metadata import read_vm_facts
from tests.performance import entry
from tests.performance.daemon import Host, new_host
from tests.performance.figures import Report, Series, Verdict
from tests.support.host_vms import HostVms, container_xml
from tests.support.virtocid import bridge_device
from tests.support.waiting import wait_until

_PER_GUEST_MS: Final = 0.08
_GROWTH: Final = 1.2
_MEMORY_MIB: Final = 100.0
_START_MS: Final = 60.0
_LOOK_SECONDS: Final = 0.0005


def measure(arguments: argparse.Namespace) -> Report:
    """Milliseconds, except where MiB are said."""
    report = Report(name="host", title="covirt-host, ms", columns=("what", "median", "best", "worst"))
    with new_host() as host:
        agent = HostVms(host.daemon.root, oci_uri=host.daemon.uri, qemu_uri="test:///default", sample_seconds=15)
        agent.part.start()
        try:
            wait_until(lambda: agent.support.obstacle == "")
            _measure_starts(report, agent, host, arguments.starts)
            for size in sorted(arguments.guests):
                _grow(agent, host, size)
                wait_until(lambda size=size: _sampled(agent) == size)  # type: ignore[misc]
                report.add(_calls(size), _statistics(agent, arguments.runs))
            memory = _rss_mib()
        finally:
            agent.part.stop()
    _judge(report, sorted(arguments.guests), memory)
    return report


def _grow(agent: HostVms, host: Host, size: int) -> None:
    """More containers, each with a NIC, until there are so many."""
    for number in range(len(agent.vms.all()), size):
        nic = bridge_device(host.bridge.name, f"{host.bridge.guest_address(number + 2)}/24")
        vm_id = agent.create(container_xml(f"idle-{number}", "sleep 100000", devices=nic, memory_mib=16))
        wait_until(lambda vm_id=vm_id: agent.status(vm_id) != "WaitForLaunch")  # type: ignore[misc]
        assert agent.status(vm_id) == "Up", agent.stats(vm_id)


def _sampled(agent: HostVms) -> int:
    """How many guests are in both of the last two samples; asks for another one."""
    agent.vms.samplers[Kind.CONTAINER].wake()
    return len(agent.vms.samplers[Kind.CONTAINER].samples.before.domains)


def _statistics(agent: HostVms, runs: int) -> Series:
    """From the verb to the text that goes to the engine; from the samples of the last seconds."""
    figures = []
    for number in range(-3, runs):
        gc.collect()
        begin = time.perf_counter()
        text = json.dumps(agent.call("Host.getAllVmStats"))
        if number >= 0:
            figures.append((time.perf_counter() - begin) * 1000)
        assert text
    return Series(tuple(figures))


def _measure_starts(report: Report, agent: HostVms, host: Host, starts: int) -> None:
    through_agent, through_libvirt = [], []
    for number in range(-1, starts):
        pair = _start_by_agent(agent), _start_by_libvirt(host)
        if number >= 0:
            through_agent.append(pair[0])
            through_libvirt.append(pair[1])
    report.add("a container: VM.create to Up", Series(tuple(through_agent)))
    report.add("a container: defineXML and create", Series(tuple(through_libvirt)))


def _start_by_agent(agent: HostVms) -> float:
    xml = container_xml("started", "sleep 100000")
    begin = time.perf_counter()
    vm_id = agent.create(xml)
    while not agent.statuses(vm_id):
        time.sleep(_LOOK_SECONDS)
    took = (time.perf_counter() - begin) * 1000
    assert agent.statuses(vm_id) == ["Up"], agent.stats(vm_id)
    agent.call("VM.destroy", vmID=vm_id)
    return took


def _start_by_libvirt(host: Host) -> float:
    root = read_xml(container_xml("started", "sleep 100000"))
    apply_properties(root, read_vm_facts(root).custom)
    xml = write_xml(root)
    with host.daemon.connect() as connection:
        begin = time.perf_counter()
        domain = connection.defineXML(xml)
        domain.create()
        took = (time.perf_counter() - begin) * 1000
        with contextlib.suppress(libvirt.libvirtError):
            domain.destroy()
        domain.undefine()
    return took


def _rss_mib() -> float:
    """Of this process: the agent, and what measures it."""
    match = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) / 1024


def _calls(size: int) -> str:
    return f"{size} guests: Host.getAllVmStats"


def _judge(report: Report, sizes: list[int], memory_mib: float) -> None:
    def median(what: str) -> float:
        return Series(tuple(report.figures[what])).median

    first, last = sizes[0], sizes[-1]
    each = median(_calls(last)) / last
    added = median("a container: VM.create to Up") - median("a container: defineXML and create")
    report.verdicts += [
        Verdict(what=f"statistics of one guest of {last}", value=each, limit=_PER_GUEST_MS, unit=" ms"),
        Verdict(
            what=f"cost of one guest, {last} to {first}", value=each / (median(_calls(first)) / first), limit=_GROWTH
        ),
        Verdict(what=f"memory with {last} guests", value=memory_mib, limit=_MEMORY_MIB, unit=" MiB"),
        Verdict(what="a start over libvirt's own", value=added, limit=_START_MS, unit=" ms"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=30, metavar="N", help="calls that count (30)")
    parser.add_argument("--starts", type=int, default=15, metavar="N", help="starts that count (15)")
    parser.add_argument("--guests", type=int, nargs="+", default=[50, 200], metavar="N", help="how many (50 and 200)")
    entry.main("host", parser, measure)


if __name__ == "__main__":
    main()
