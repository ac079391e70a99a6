# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures that tell what domains use."""

from typing import Final

from covirt.common.units import KIB
from covirt.oci.cgroup import BlockDeviceStats
from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.bulk_stats import SUPPORTED_GROUPS
from covirt.virtocid.driver.disk_facts import DiskCounters, disk_counters, disk_size
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.model import Disk
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import BadArgument, NoSuchDisk, NoSuchStatistics, NotSupported
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.virtocid.driver.handlers.tuning import affinity
from covirt.virtocid.driver.interface_addresses import by_agent, by_arp, by_lease
from covirt.virtocid.driver.listing import FILTER_BITS, matches
from covirt.wire import procedures as proc
from covirt.wire import structs as s
from covirt.wire import structs_connect as c
from covirt.wire import structs_domain as d
from covirt.wire.constants import TYPED_PARAM_STRING_OKAY
from covirt.wire.params import TypedParam, ullong

# VIR_CONNECT_GET_ALL_DOMAINS_STATS_*. No number here makes anybody wait, and no disk has a backing chain.
_NOWAIT, _BACKING, _ENFORCE_STATS = 1 << 29, 1 << 30, 1 << 31
_ADDRESS_SOURCES: Final = {0: by_lease, 1: by_agent, 2: by_arp}  # VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_*
_VCPU_RUNNING: Final = 1
_CPU_NOT_TOLD: Final = -2  # VIR_VCPU_INFO_CPU_UNAVAILABLE: the kernel moves a container's threads as it likes
# VIR_DOMAIN_MEMORY_STAT_*
_MAJOR_FAULT, _MINOR_FAULT, _UNUSED, _AVAILABLE, _ACTUAL, _RSS, _USABLE, _DISK_CACHES = 2, 3, 4, 5, 6, 7, 8, 10


def without_excess(domains: list[Domain], *, limit: int) -> list[Domain]:
    """A list that names a domain twice is answered as it is, as libvirt does, but never at more than ``limit``.

    Otherwise one short question, which anybody may ask, would have an answer of many megabytes.
    """
    return domains if len(domains) <= limit else list(dict.fromkeys(domains))


class StatsHandlers:
    """Numbers: bulk, CPU, memory, block devices, interfaces and addresses."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.CONNECT_GET_ALL_DOMAIN_STATS, self.all_domain_stats)
        table.add(proc.DOMAIN_MEMORY_STATS, self.memory_stats)
        table.add(proc.DOMAIN_GET_CPU_STATS, self.cpu_stats)
        table.add(proc.DOMAIN_GET_VCPUS, self.vcpus)
        table.add(proc.DOMAIN_BLOCK_STATS, self.block_stats)
        table.add(proc.DOMAIN_BLOCK_STATS_FLAGS, self.block_stats_flags)
        table.add(proc.DOMAIN_GET_BLOCK_INFO, self.block_info)
        table.add(proc.DOMAIN_INTERFACE_STATS, self.interface_stats)
        table.add(proc.DOMAIN_INTERFACE_ADDRESSES, self.interface_addresses)

    def _domain(self, dom: s.RemoteDomain) -> Domain:
        return self._driver.domains.by_uuid(dom.uuid)

    def all_domain_stats(self, _ctx: Context, args: c.ConnectGetAllDomainStatsArgs) -> c.ConnectGetAllDomainStatsRet:
        refuse_unknown(args.flags, FILTER_BITS | _NOWAIT | _BACKING | _ENFORCE_STATS, "virConnectGetAllDomainStats")
        if args.flags & _ENFORCE_STATS and args.stats & ~SUPPORTED_GROUPS:
            raise NoSuchStatistics(groups=args.stats & ~SUPPORTED_GROUPS)
        known = self._driver.domains
        if args.doms:
            # One that ended a moment ago must not cost the caller the numbers of all others. With none left, libvirt
            # answers an empty list, which exporters that ask for one domain take the first record of.
            domains = [domain for dom in args.doms if (domain := known.find(dom.uuid)) is not None]
            domains = domains or [self._domain(args.doms[0])]
            domains = without_excess(domains, limit=len(known.all()))
        else:
            domains = [domain for domain in known.all() if matches(domain, args.flags)]
        groups = args.stats & SUPPORTED_GROUPS if args.stats else SUPPORTED_GROUPS
        records = {
            domain.uuid: c.DomainStatsRecord(dom=domain.remote, params=params)
            for domain, params in self._driver.stats.bulk(list(dict.fromkeys(domains)), groups)
        }
        return c.ConnectGetAllDomainStatsRet(ret_stats=tuple(records[domain.uuid] for domain in domains))

    def memory_stats(self, _ctx: Context, args: d.DomainMemoryStatsArgs) -> d.DomainMemoryStatsRet:
        refuse_unknown(args.flags, 0, "virDomainMemoryStats")
        domain = self._domain(args.dom)
        domain.require_run()
        available = self._driver.tuning.memory_kib(domain)
        usage = self._driver.stats.usage(domain)
        stats: dict[int, int | None] = {_ACTUAL: available}
        if usage is not None and usage.memory_usage_bytes is not None:
            used = usage.memory_usage_bytes // KIB
            cache = None if usage.memory_cache_bytes is None else usage.memory_cache_bytes // KIB
            faults, major = usage.page_faults, usage.major_page_faults
            stats |= {
                _AVAILABLE: available,
                _UNUSED: max(0, available - used),
                _USABLE: max(0, available - used + (cache or 0)),
                _DISK_CACHES: cache,
                _MAJOR_FAULT: major,
                _MINOR_FAULT: None if faults is None else max(0, faults - (major or 0)),
                _RSS: None if usage.memory_rss_bytes is None else usage.memory_rss_bytes // KIB,
            }
        known = [(tag, value) for tag, value in stats.items() if value is not None]
        return d.DomainMemoryStatsRet(
            stats=tuple(d.DomainMemoryStat(tag=tag, val=value) for tag, value in known[: args.max_stats])
        )

    def cpu_stats(self, _ctx: Context, args: d.DomainGetCpuStatsArgs) -> d.DomainGetCpuStatsRet:
        refuse_unknown(args.flags, TYPED_PARAM_STRING_OKAY, "virDomainGetCPUStats")
        domain = self._domain(args.dom)
        domain.require_run()
        if args.start_cpu == -1:
            return self._total_cpu_stats(domain, args.nparams)
        per_cpu = self._driver.stats.per_cpu(domain)
        if per_cpu is None:
            raise NotSupported(what="CPU time by host CPU", reason="cgroup v2 counts it for the whole container only")
        if args.ncpus == 0:
            return d.DomainGetCpuStatsRet(params=(), nparams=len(per_cpu))
        if args.start_cpu >= len(per_cpu):
            raise BadArgument(what=f"start CPU {args.start_cpu} is not below {len(per_cpu)}")
        if args.nparams == 0:
            return d.DomainGetCpuStatsRet(params=(), nparams=1)
        wanted = per_cpu[args.start_cpu : args.start_cpu + args.ncpus]
        return d.DomainGetCpuStatsRet(params=tuple(ullong("cpu_time", value) for value in wanted), nparams=1)

    def _total_cpu_stats(self, domain: Domain, nparams: int) -> d.DomainGetCpuStatsRet:
        usage = self._driver.stats.usage(domain)
        values = (
            {}
            if usage is None
            else {"cpu_time": usage.cpu_total_ns, "user_time": usage.cpu_user_ns, "system_time": usage.cpu_system_ns}
        )
        params = tuple(ullong(field, value) for field, value in values.items() if value is not None)
        return d.DomainGetCpuStatsRet(params=params[:nparams], nparams=len(params))

    def vcpus(self, _ctx: Context, args: d.DomainGetVcpusArgs) -> d.DomainGetVcpusRet:
        domain = self._domain(args.dom)
        run = domain.require_run()
        count = min(run.config.current_vcpus, args.maxinfo)
        usage = self._driver.stats.usage(domain)
        share = (usage.cpu_total_ns or 0) // run.config.current_vcpus if usage else 0
        info = tuple(
            d.VcpuInfo(number=number, state=_VCPU_RUNNING, cpu_time=share, cpu=_CPU_NOT_TOLD)
            for number in range(count)
        )
        maps = affinity(run.config, self._driver.tuning.in_force(domain), count, length_bytes=args.maplen)
        return d.DomainGetVcpusRet(info=info, cpumaps=b"".join(maps))

    def _disk(self, domain: Domain, path: str) -> Disk:
        for disk in domain.config.disks:
            if path in (disk.target, disk.source):
                return disk
        raise NoSuchDisk(name=domain.name, path=path)

    def _block_io(self, domain: Domain, path: str) -> BlockDeviceStats | DiskCounters | None:
        run = domain.require_run()
        if path:
            return disk_counters(run, self._disk(domain, path))
        usage = self._driver.stats.usage(domain)
        return None if usage is None else usage.block_total()

    def block_stats(self, _ctx: Context, args: d.DomainBlockStatsArgs) -> d.DomainBlockStatsRet:
        """The whole container's I/O for an empty path, as libvirt-lxc does; a volume's for that of a disk.

        The image has no numbers of its own: the kernel counts by host device, where many files lie.
        """
        io = self._block_io(self._domain(args.dom), args.path)

        def known(value: int | None) -> int:
            return -1 if value is None else value

        return d.DomainBlockStatsRet(
            rd_req=known(io.read_requests if io else None),
            rd_bytes=known(io.read_bytes if io else None),
            wr_req=known(io.write_requests if io else None),
            wr_bytes=known(io.write_bytes if io else None),
            errs=-1,
        )

    def block_stats_flags(self, _ctx: Context, args: d.DomainBlockStatsFlagsArgs) -> s.Params16NparamsRet:
        refuse_unknown(args.flags, TYPED_PARAM_STRING_OKAY, "virDomainBlockStatsFlags")
        io = self._block_io(self._domain(args.dom), args.path)
        values: dict[str, int | None] = (
            {}
            if io is None
            else {
                "rd_operations": io.read_requests,
                "rd_bytes": io.read_bytes,
                "wr_operations": io.write_requests,
                "wr_bytes": io.write_bytes,
                **(
                    {
                        "rd_total_times": io.read_ns,
                        "wr_total_times": io.write_ns,
                        "flush_operations": io.flush_requests,
                        "flush_total_times": io.flush_ns,
                    }
                    if isinstance(io, DiskCounters)
                    else {}
                ),
            }
        )
        params = tuple(TypedParam(field, 3, value) for field, value in values.items() if value is not None)
        return s.Params16NparamsRet(params=params[: args.nparams], nparams=len(params))

    def block_info(self, _ctx: Context, args: d.DomainGetBlockInfoArgs) -> d.DomainGetBlockInfoRet:
        refuse_unknown(args.flags, 0, "virDomainGetBlockInfo")
        domain = self._domain(args.dom)
        disk = self._disk(domain, args.path)
        path = self._driver.disk_path(disk)
        try:
            size = disk_size(path)
        except OSError as error:
            raise BadArgument(what=f"{path} cannot be read: {error.strerror}") from error
        return d.DomainGetBlockInfoRet(allocation=size.allocation, capacity=size.capacity, physical=size.physical)

    def interface_stats(self, _ctx: Context, args: d.DomainInterfaceStatsArgs) -> d.DomainInterfaceStatsRet:
        counters = self._driver.stats.interface(self._domain(args.dom), args.device)
        return d.DomainInterfaceStatsRet(
            rx_bytes=counters.rx_bytes,
            rx_packets=counters.rx_packets,
            rx_errs=counters.rx_errors,
            rx_drop=counters.rx_drops,
            tx_bytes=counters.tx_bytes,
            tx_packets=counters.tx_packets,
            tx_errs=counters.tx_errors,
            tx_drop=counters.tx_drops,
        )

    def interface_addresses(
        self, _ctx: Context, args: d.DomainInterfaceAddressesArgs
    ) -> d.DomainInterfaceAddressesRet:
        refuse_unknown(args.flags, 0, "virDomainInterfaceAddresses")
        run = self._domain(args.dom).require_run()
        if args.source not in _ADDRESS_SOURCES:
            raise BadArgument(what=f"there is no source {args.source} of addresses")
        return d.DomainInterfaceAddressesRet(ifaces=_ADDRESS_SOURCES[args.source](run))
