# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures about the connection and the host."""

from typing import Final

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver import node
from covirt.virtocid.driver.domain_xml.parse import DOMAIN_TYPES
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import BadArgument
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.wire import procedures as proc
from covirt.wire import structs as s
from covirt.wire import structs_connect as c

DRIVER_TYPE: Final = "OCI"
# What covirt calls its version, as libvirt encodes it: major * 1,000,000 + minor * 1,000 + release.
DRIVER_VERSION: Final = 1_000
# The release of libvirt whose behaviour the daemon follows. Clients use it to decide what they may ask for.
LIBVIRT_VERSION: Final = 9_000_000
MAX_VCPUS: Final = 4096
_WHOLE_HOST: Final = -1  # in place of a cell's number


class ConnectionHandlers:
    """What libvirt calls virConnect and virNode."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.CONNECT_GET_TYPE, lambda _ctx, _args: s.TypeRet(type=DRIVER_TYPE))
        table.add(proc.CONNECT_GET_VERSION, lambda _ctx, _args: c.ConnectGetVersionRet(hv_ver=DRIVER_VERSION))
        table.add(
            proc.CONNECT_GET_LIB_VERSION, lambda _ctx, _args: c.ConnectGetLibVersionRet(lib_ver=LIBVIRT_VERSION)
        )
        table.add(proc.CONNECT_GET_HOSTNAME, lambda _ctx, _args: s.HostnameRet(hostname=node.hostname()))
        table.add(proc.CONNECT_GET_MAX_VCPUS, lambda _ctx, _args: c.ConnectGetMaxVcpusRet(max_vcpus=MAX_VCPUS))
        table.add(proc.CONNECT_GET_CAPABILITIES, self.capabilities)
        table.add(proc.CONNECT_GET_DOMAIN_CAPABILITIES, self.domain_capabilities)
        table.add(proc.NODE_GET_INFO, self.node_info)
        table.add(proc.NODE_GET_FREE_MEMORY, self.free_memory)
        table.add(proc.NODE_GET_CELLS_FREE_MEMORY, self.cells_free_memory)
        table.add(proc.NODE_GET_CPU_STATS, self.cpu_stats)
        table.add(proc.NODE_GET_MEMORY_STATS, self.memory_stats)
        table.add(proc.NODE_GET_CPU_MAP, self.cpu_map)
        table.add(proc.NODE_GET_SECURITY_MODEL, lambda _ctx, _args: c.NodeGetSecurityModelRet(model="", doi=""))
        table.add(proc.NODE_GET_FREE_PAGES, self.free_pages)

    def capabilities(self, _ctx: Context, _args: None) -> s.CapabilitiesRet:
        return s.CapabilitiesRet(capabilities=self._driver.capabilities_xml())

    def domain_capabilities(self, _ctx: Context, args: c.ConnectGetDomainCapabilitiesArgs) -> s.CapabilitiesRet:
        if args.virttype not in (None, *DOMAIN_TYPES):
            raise BadArgument(
                what=f"virtualization type '{args.virttype}' is unknown here; this connection has 'oci'"
            )
        return s.CapabilitiesRet(capabilities=self._driver.domain_capabilities_xml(args.arch, MAX_VCPUS))

    def node_info(self, _ctx: Context, _args: None) -> c.NodeGetInfoRet:
        facts = node.topology()
        return c.NodeGetInfoRet(
            model=facts.model,
            memory=facts.memory_kib,
            cpus=facts.cpus,
            mhz=facts.mhz,
            nodes=1,
            sockets=facts.sockets,
            cores=facts.cores,
            threads=facts.threads,
        )

    def free_memory(self, _ctx: Context, _args: None) -> c.NodeGetFreeMemoryRet:
        return c.NodeGetFreeMemoryRet(free_mem=node.free_memory_bytes())

    def cells_free_memory(self, _ctx: Context, args: c.NodeGetCellsFreeMemoryArgs) -> c.NodeGetCellsFreeMemoryRet:
        if args.start_cell != 0:
            raise BadArgument(what=f"start cell {args.start_cell} out of range (0-0)")
        return c.NodeGetCellsFreeMemoryRet(cells=(node.free_memory_bytes(),))

    def free_pages(self, _ctx: Context, args: c.NodeGetFreePagesArgs) -> c.NodeGetFreePagesRet:
        refuse_unknown(args.flags, 0, "virNodeGetFreePages")
        if args.start_cell not in (_WHOLE_HOST, 0) or args.cell_count == 0:
            raise BadArgument(what=f"start cell {args.start_cell} out of range (0-0)")
        counts = []
        for size in args.pages:
            count = node.free_pages(size)
            if count is None:
                raise BadArgument(what=f"this host has no pages of {size} KiB")
            counts.append(count)
        # The whole host counts like one more cell in front of the first.
        cells = min(args.cell_count, 1 - args.start_cell)
        return c.NodeGetFreePagesRet(counts=tuple(counts * cells))

    def cpu_stats(self, _ctx: Context, args: c.NodeGetCpuStatsArgs) -> c.NodeGetCpuStatsRet:
        times = node.cpu_times(None if args.cpu_num == -1 else args.cpu_num)
        if times is None:
            raise BadArgument(what=f"there is no CPU {args.cpu_num} on this host")
        stats = tuple(c.NodeStat(field=field, value=value) for field, value in times.items())
        return c.NodeGetCpuStatsRet(params=stats if args.nparams else (), nparams=len(stats))

    def memory_stats(self, _ctx: Context, args: c.NodeGetMemoryStatsArgs) -> c.NodeGetMemoryStatsRet:
        if args.cell_num not in (-1, 0):
            raise BadArgument(what=f"cell number {args.cell_num} out of range (0-0)")
        facts = node.memory_facts()
        fields = {"total": "MemTotal", "free": "MemFree"}
        if args.cell_num == -1:
            fields |= {"buffers": "Buffers", "cached": "Cached"}
        stats = tuple(c.NodeStat(field=field, value=facts[name]) for field, name in fields.items() if name in facts)
        return c.NodeGetMemoryStatsRet(params=stats if args.nparams else (), nparams=len(stats))

    def cpu_map(self, _ctx: Context, args: c.NodeGetCpuMapArgs) -> c.NodeGetCpuMapRet:
        online = node.online_cpus()
        count = node.present_cpu_count()
        bits = sum(1 << cpu for cpu in online)
        return c.NodeGetCpuMapRet(
            cpumap=bits.to_bytes((count + 7) // 8, "little") if args.need_map else b"",
            online=len(online) if args.need_online else 0,
            ret=count,
        )
