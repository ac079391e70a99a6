# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Reading what containers use: cgroup files and interface counters, never a runtime."""

from collections.abc import Mapping, Sequence

from covirt.oci.cgroup import CgroupReader, CgroupStats, Groups, NetworkCounters, read_network_counters
from covirt.virtocid.driver.bulk_stats import BALLOON, CPU_TOTAL, INTERFACE, VCPU, VM, Sample, collect
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import NoSuchInterface
from covirt.wire.params import EncodedParams


class Statistics:
    """Fresh numbers for one domain or for many."""

    def __init__(self, reader: CgroupReader) -> None:
        self._reader = reader

    def usage(self, domain: Domain) -> CgroupStats | None:
        """What the domain's processes use; None when it does not run or has just ended."""
        run = domain.run
        return None if run is None else self._reader.read(run.cgroup_path)

    def per_cpu(self, domain: Domain) -> tuple[int, ...] | None:
        """CPU time in ns by host CPU; None where the kernel does not tell (cgroup v2)."""
        return self._reader.cpu_per_cpu_ns(domain.require_run().cgroup_path)

    def network(self) -> Mapping[str, NetworkCounters]:
        """Counters of every host interface by name, as the container sees them (received is what it received)."""
        return read_network_counters()

    def interface(self, domain: Domain, device: str) -> NetworkCounters:
        """Counters of one interface, named by its host end or its MAC address. Raises NoSuchInterface."""
        run = domain.require_run()
        for interface, name in zip(run.config.interfaces, run.interface_names, strict=False):
            if device in (name, interface.mac):
                counters = self.network().get(name)
                if counters is not None:
                    return counters
        raise NoSuchInterface(name=domain.name, device=device)

    def bulk(self, domains: Sequence[Domain], groups: int) -> list[tuple[Domain, EncodedParams]]:
        """The parameters of many domains: one read of all interface counters, and one cgroup read for each domain."""
        network = self.network() if groups & INTERFACE and any(domain.active for domain in domains) else {}
        files = _files(groups)
        return [(domain, collect(self._sample(domain, files, network), groups)) for domain in domains]

    def _sample(self, domain: Domain, files: Groups, network: Mapping[str, NetworkCounters]) -> Sample:
        run = domain.run
        usage = self._reader.read(run.cgroup_path, files) if run is not None and files else None
        return Sample(domain=domain, config=domain.config, run=run, usage=usage, network=network)


def _files(groups: int) -> Groups:
    """Which files of a cgroup these groups of statistics need."""
    files = Groups(0)
    if groups & (CPU_TOTAL | VCPU):
        files |= Groups.CPU
    if groups & (BALLOON | VM):
        files |= Groups.MEMORY
    if groups & VM:
        files |= Groups.PIDS | Groups.BLOCK
    return files
