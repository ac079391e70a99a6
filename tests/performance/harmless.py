# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a virtual machine notices of a container that takes all it can get, with and without covirt's limits.

A small guest writes 4 KiB synchronously to its disk, over and over, and has a process that always wants its
processor. It is measured alone, beside a container that burns processors, memory, processes, disk bandwidth and file
system space at once with nothing to bound it, and beside the same container with covirt's limits. All of it lies on
one disk.
"""

import argparse
import os
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.process import run
from tests.performance import entry
from tests.performance.daemon import Host, new_host
from tests.performance.figures import Report, Series, Verdict
from tests.support.guest import build_guest
from tests.support.libvirtd import Libvirtd, serve_libvirtd
from tests.support.roots import new_directory
from tests.support.virtocid import Virtocid, XmlParts
from tests.support.waiting import wait_until

_SECONDS: Final = 180.0  # a guest is emulated, and boots beside a container that burns
_GUEST: Final = "machine"
_BURNER: Final = "burner"
_DISK_BYTES: Final = 16 << 20
_NAMES: Final = ("none", "unbounded", "bounded")
_TOOK: Final = re.compile(rb"took (\d+) us")
_SETTLE_SECONDS: Final = 3.0
# Even without covirt's limits it stops somewhere, for the machine is not ours alone.
_MEMORY_MIB: Final = 2048
_FILE_MIB: Final = 4096
_PROCESSES: Final = 5000
_WRITE_BYTES_SEC: Final = 20 << 20
_LIMITED_MEMORY_MIB: Final = 256
_LIMITED_LAYER_MIB: Final = 512

_BURN: Final = f"""
processors() {{ i=0; while [ $i -lt 8 ]; do (while :; do :; done) & i=$((i+1)); done; }}
memory() {{ while :; do head -c {_MEMORY_MIB - 256}m /dev/zero | tail >/dev/null; done; }}
processes() {{ i=0; while [ $i -lt {_PROCESSES} ]; do sleep 100000 & i=$((i+1)); done; wait; }}
disk() {{ while :; do dd if=/dev/zero of=/full bs=1M count={_FILE_MIB} oflag=direct; done; }}
processors
memory 2>/dev/null &
disk 2>/dev/null &
(processes 2>/dev/null) &
echo burning
while :; do sleep 1000; done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """A running guest and the file with what it says."""

    libvirtd: Libvirtd
    log: Path

    def latencies_ms(self, begin: int) -> tuple[float, ...]:
        """Of the writes that the guest told of since byte ``begin`` of its console."""
        return tuple(int(text) / 1000 for text in _TOOK.findall(self.log.read_bytes()[begin:]))

    def processor_seconds(self) -> float:
        stats = self.libvirtd.virsh("domstats", "--cpu-total", _GUEST).stdout.decode()
        return int(re.findall(r"cpu\.time=(\d+)", stats)[0]) / 1e9


class _Usage:
    """What a container takes of the host."""

    def __init__(self, virtocid: Virtocid | None) -> None:
        self._virtocid = virtocid

    def cells(self) -> tuple[str, str, str]:
        """MiB of memory, processes, MiB of disk."""
        if self._virtocid is None:
            return "-", "-", "-"
        stats = dict(re.findall(r"([a-z._]+)=(\d+)", self._virtocid.tell("domstats", _BURNER)))
        disk = sum(path.lstat().st_blocks for path in self._virtocid.root.state_dir.rglob("full")) * 512
        disk += sum(path.lstat().st_blocks for path in self._virtocid.root.path.glob("layer.raw")) * 512
        return str(int(stats["balloon.rss"]) >> 10), stats["vm.pids.cur"], str(disk >> 20)


def measure(arguments: argparse.Namespace) -> Report:
    """Milliseconds of writes, and the guest's share of one processor, in three neighbourhoods."""
    report = Report(
        name="harmless",
        title="Synchronous writes of a virtual machine and its share of a CPU, beside what a container takes",
        columns=("beside", "p50 ms", "p99 ms", "worst ms", "CPU %", "memory MiB", "processes", "disk MiB"),
    )
    with ExitStack() as stack:
        directory = stack.enter_context(new_directory(on_disk=True))
        libvirtd = stack.enter_context(serve_libvirtd(directory / "libvirtd"))
        host = stack.enter_context(new_host())
        machine = stack.enter_context(_machine(libvirtd, directory))
        for name, limited in zip(_NAMES, (None, False, True), strict=True):
            with _burning(host, limited=limited) as took:
                _measure_one(report, name, machine, arguments.seconds, took)
    _judge(report)
    return report


def _measure_one(report: Report, name: str, machine: _Machine, seconds: float, took: _Usage) -> None:
    time.sleep(_SETTLE_SECONDS)
    begin, processor, at = machine.log.stat().st_size, machine.processor_seconds(), time.monotonic()
    time.sleep(seconds)
    share = 100 * (machine.processor_seconds() - processor) / (time.monotonic() - at)
    latencies = sorted(machine.latencies_ms(begin))
    p50, p99 = statistics.median(latencies), latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)]
    report.rows.append((name, f"{p50:.1f}", f"{p99:.1f}", f"{latencies[-1]:.1f}", f"{share:.0f}", *took.cells()))
    report.figures[f"{name}: writes, ms"] = Series(tuple(latencies)).values
    report.figures[f"{name}: p99, ms"] = (p99,)
    report.figures[f"{name}: share of a CPU, %"] = (share,)


def _judge(report: Report) -> None:
    alone, burnt, kept = (report.figures[f"{name}: p99, ms"][0] for name in _NAMES)
    report.verdicts.append(
        Verdict(what="p99 of a write with covirt's limits to that without", value=kept / burnt, limit=1)
    )
    report.notes.append(
        f"p99 of a write is {burnt / alone:.1f} times that of the machine alone beside the unbounded container, "
        f"and {kept / alone:.1f} times beside the bounded one"
    )


@contextmanager
def _machine(libvirtd: Libvirtd, directory: Path) -> Iterator[_Machine]:
    """A guest whose disk is a file in ``directory`` and that runs the probe; QEMU bypasses the host's page cache."""
    files = directory / "guest"
    files.mkdir(mode=0o755)
    probe = files / "probe"
    source = Path(__file__).with_name("probe.c")
    run(["gcc", "-static", "-O2", "-Wall", "-o", probe, source], timeout_seconds=_SECONDS)
    guest = build_guest(files, start=probe.read_bytes())
    disk, log = files / "disk.raw", files / "console.log"
    disk.write_bytes(bytes(_DISK_BYTES))  # written, not sparse: no block is to be found first
    os.sync()
    xml = files / "machine.xml"
    xml.write_text(guest.domain_xml(_GUEST, log=log, disk=disk))
    libvirtd.virsh("create", str(xml))
    try:
        wait_until(lambda: log.exists() and b"took" in log.read_bytes(), timeout_seconds=_SECONDS, what="the probe")
        yield _Machine(libvirtd=libvirtd, log=log)
    finally:
        libvirtd.virsh("destroy", _GUEST)


@contextmanager
def _burning(host: Host, *, limited: bool | None) -> Iterator[_Usage]:
    """The container, or with None no container."""
    if limited is None:
        yield _Usage(None)
        return
    daemon = host.daemon
    daemon.define(_BURNER, ("/bin/sh", "-c", _BURN), **(_bounded(daemon) if limited else _unbounded()))
    daemon.virsh("start", _BURNER)
    try:
        daemon.wait_for_output(_BURNER, "burning")
        yield _Usage(daemon)
    finally:
        daemon.remove_domains()


def _unbounded() -> XmlParts:
    return {
        "memory_mib": _MEMORY_MIB,
        "settings": f"<covirt:processes limit='{_PROCESSES + 100}'/>",
        "more": f"<vcpu>{os.cpu_count() or 1}</vcpu><cputune><shares>262144</shares></cputune>",
    }


def _bounded(daemon: Virtocid) -> XmlParts:
    """One processor, little memory, the usual number of processes, a rate of writes, and a root layer of a size."""
    layer = daemon.root.path / "layer.raw"
    with layer.open("wb") as stream:
        stream.truncate(_LIMITED_LAYER_MIB << 20)
    rate = f"<path>{_disk_of(daemon.root.path)}</path><write_bytes_sec>{_WRITE_BYTES_SEC}</write_bytes_sec>"
    return {
        "memory_mib": _LIMITED_MEMORY_MIB,
        "settings": "<covirt:root disk='vda'/>",
        "more": f"<vcpu>1</vcpu><blkiotune><device>{rate}</device></blkiotune>",
        "devices": f"""<console type='pty'/><disk type='file' device='disk'><driver name='qemu' type='raw'/>
            <source file='{layer}'/><target dev='vda'/></disk>""",
    }


def _disk_of(path: Path) -> str:
    """The whole disk below a directory's file system."""
    device = os.stat(path).st_dev
    place = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    return f"/dev/{(place.parent if (place / 'partition').exists() else place).name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each is measured (30)")
    entry.main("harmless", parser, measure)


if __name__ == "__main__":
    main()
