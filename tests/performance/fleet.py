# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Many running containers: each a domain with one bridged NIC and one process that sleeps."""

import concurrent.futures
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from covirt.oci.supervisor import supervisor_for
from tests.performance.daemon import IDLE, Host
from tests.support.virtocid import bridge_device, domain_xml

if TYPE_CHECKING:
    import libvirt

RUNTIME: Final = "crun"
_WORKERS: Final = 3  # more would only wait for each other
_MEMORY_MIB: Final = 16


class Fleet:
    """Grows, and ends with its host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.uuids: list[str] = []

    def grow(self, size: int) -> None:
        """Until ``size`` containers run."""
        begin = time.perf_counter()
        numbers = range(len(self.uuids), size)
        with (
            self._host.daemon.connect() as connection,
            concurrent.futures.ThreadPoolExecutor(_WORKERS, thread_name_prefix="fleet") as pool,
        ):
            self.uuids += pool.map(lambda number: self._start(connection, number), numbers)
        took = time.perf_counter() - begin
        Console(stderr=True).print(f"{len(numbers)} more containers started in {took:.1f} s, {size} run now")

    def _start(self, connection: "libvirt.virConnect", number: int) -> str:
        nic = bridge_device(self._host.bridge.name)
        # The bridge has no DHCP server: hundreds of clients would ask for ever, which no idle container does.
        settings = "<covirt:interface dhcp='no'/>"
        name = f"idle-{number}"
        xml = domain_xml(name, IDLE, runtime=RUNTIME, memory_mib=_MEMORY_MIB, devices=nic, settings=settings)
        domain = connection.defineXML(xml)
        domain.create()
        return str(domain.UUIDString())

    @property
    def cgroup_paths(self) -> tuple[str, ...]:
        """What the daemon reads statistics of; every container is in its first run."""
        supervisor = supervisor_for(self._host.daemon.root.id)
        return tuple(supervisor.adopt(f"{uuid}-1").container_path for uuid in self.uuids)

    def supervisor_processes(self) -> tuple[int, ...]:
        """What stays beside the containers' own processes: conmon, and whatever else a run needs."""
        supervisor = supervisor_for(self._host.daemon.root.id)
        mount = supervisor.layout.mount_points()[0]
        places = (supervisor.adopt(f"{uuid}-1").supervisor_path for uuid in self.uuids)
        pids = (Path(f"{mount}{place}/cgroup.procs").read_text().split() for place in places)
        return tuple(int(pid) for each in pids for pid in each)
