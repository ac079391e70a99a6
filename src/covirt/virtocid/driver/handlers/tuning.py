# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures that tell the limits of domains: of a running one those that the kernel has, else those of its XML."""

from pathlib import Path
from typing import Final

from covirt.common.units import KIB
from covirt.oci.limit_settings import DEFAULT_PERIOD_US, DEFAULT_SHARES, cpus_of
from covirt.oci.resources import BlockIoLimit, Resources
from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver import node
from covirt.virtocid.driver.affect import AFFECT, asks_live
from covirt.virtocid.driver.affinity import cpu_list, cpu_maps, same_maps
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.domain_xml.parse_tuning import NUMA_MODES
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import BadArgument
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.virtocid.driver.resources import whole_disk
from covirt.virtocid.driver.tuning_changes import DEVICE_PARAMETERS, UNLIMITED_KIB
from covirt.wire import procedures as proc
from covirt.wire import structs as s
from covirt.wire import structs_domain as d
from covirt.wire.constants import TYPED_PARAM_STRING_OKAY
from covirt.wire.params import TypedParam, int_, llong, string, uint, ullong

_NO_QUOTA: Final = -1


class TuningHandlers:
    """Reading schedinfo, vcpupin, memtune, blkiotune and numatune."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_GET_SCHEDULER_TYPE, self.scheduler_type)
        table.add(proc.DOMAIN_GET_SCHEDULER_PARAMETERS, self.scheduler_parameters)
        table.add(proc.DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS, self.scheduler_parameters_flags)
        table.add(proc.DOMAIN_GET_VCPU_PIN_INFO, self.vcpu_pins)
        table.add(proc.DOMAIN_GET_MEMORY_PARAMETERS, self.memory_parameters)
        table.add(proc.DOMAIN_GET_BLKIO_PARAMETERS, self.block_io_parameters)
        table.add(proc.DOMAIN_GET_NUMA_PARAMETERS, self.numa_parameters)

    def _domain(self, dom: s.RemoteDomain) -> Domain:
        return self._driver.domains.by_uuid(dom.uuid)

    def _asked(self, dom: s.RemoteDomain, flags: int) -> tuple[DomainConfig, Resources | None]:
        """The configuration that the flags ask for, and with the running one what the kernel has of it."""
        refuse_unknown(flags, AFFECT | TYPED_PARAM_STRING_OKAY, "virDomainGet…Parameters")
        domain = self._domain(dom)
        if asks_live(flags, domain):
            return domain.config, self._driver.tuning.in_force(domain)
        return domain.next_config, None

    def scheduler_type(self, _ctx: Context, args: s.DomainArgs) -> d.DomainGetSchedulerTypeRet:
        return d.DomainGetSchedulerTypeRet(type="posix", nparams=len(self._scheduler(*self._asked(args.dom, 0))))

    def scheduler_parameters(self, _ctx: Context, args: d.DomainGetSchedulerParametersArgs) -> s.Params16Ret:
        return s.Params16Ret(params=self._scheduler(*self._asked(args.dom, 0))[: args.nparams])

    def scheduler_parameters_flags(self, _ctx: Context, args: s.DomainNparamsFlagsArgs) -> s.Params16Ret:
        return s.Params16Ret(params=self._scheduler(*self._asked(args.dom, args.flags))[: args.nparams])

    def _scheduler(self, config: DomainConfig, kernel: Resources | None) -> tuple[TypedParam, ...]:
        return scheduler(config, kernel, default_pids=self._driver.tuning.default_pids_limit)

    def vcpu_pins(self, _ctx: Context, args: d.DomainGetVcpuPinInfoArgs) -> d.DomainGetVcpuPinInfoRet:
        config, kernel = self._asked(args.dom, args.flags)
        count = max(0, min(config.vcpus, args.ncpumaps))
        maps = affinity(config, kernel, count, length_bytes=args.maplen)
        return d.DomainGetVcpuPinInfoRet(cpumaps=b"".join(maps), num=count)

    def memory_parameters(self, _ctx: Context, args: s.DomainNparamsFlagsArgs) -> s.Params16NparamsRet:
        config, kernel = self._asked(args.dom, args.flags)
        tune = config.memory_tune
        limits = {
            "hard_limit": tune.hard_limit_kib,
            "soft_limit": tune.soft_limit_kib,
            "swap_hard_limit": tune.swap_hard_limit_kib,
        }
        if kernel is not None:
            limits = {
                "hard_limit": _kib(kernel.memory_limit_bytes),
                "soft_limit": _kib(kernel.memory_reservation_bytes),
                "swap_hard_limit": _kib(kernel.memory_swap_limit_bytes),
            }
        params = tuple(ullong(name, UNLIMITED_KIB if value is None else value) for name, value in limits.items())
        return s.Params16NparamsRet(params=params[: args.nparams], nparams=len(params))

    def block_io_parameters(self, _ctx: Context, args: s.DomainNparamsFlagsArgs) -> s.Params16NparamsRet:
        config, kernel = self._asked(args.dom, args.flags)
        weight = config.block_io.weight if kernel is None else kernel.block_io_weight
        params: tuple[TypedParam, ...] = (uint("weight", weight or 0),)
        if args.flags & TYPED_PARAM_STRING_OKAY:
            params += _devices(config, kernel)
        return s.Params16NparamsRet(params=params[: args.nparams], nparams=len(params))

    def numa_parameters(self, _ctx: Context, args: s.DomainNparamsFlagsArgs) -> s.Params16NparamsRet:
        config, kernel = self._asked(args.dom, args.flags)
        tune = config.numa_tune
        nodes = tune.nodeset or "" if kernel is None else kernel.memory_nodes or ""
        params: tuple[TypedParam, ...] = (int_("numa_mode", NUMA_MODES.index(tune.mode or "strict")),)
        if args.flags & TYPED_PARAM_STRING_OKAY:
            params += (string("numa_nodeset", nodes),)
        return s.Params16NparamsRet(params=params[: args.nparams], nparams=len(params))


def _kib(size_bytes: int | None) -> int | None:
    return None if size_bytes is None else size_bytes // KIB


def scheduler(config: DomainConfig, kernel: Resources | None, *, default_pids: int) -> tuple[TypedParam, ...]:
    """libvirt's parameters, and one of ours. The quota of a cgroup is told as what it was made from."""
    tune = config.cpu_tune
    shares, pids = tune.shares, config.settings.pids_limit or default_pids
    period_us, quota_us = tune.period_us or DEFAULT_PERIOD_US, tune.quota_us
    global_period_us, global_quota_us = tune.global_period_us or DEFAULT_PERIOD_US, tune.global_quota_us
    if kernel is not None:
        shares, pids = kernel.cpu_shares or shares, kernel.pids_limit or 0
        in_force_us = kernel.cpu_period_us or DEFAULT_PERIOD_US
        if global_quota_us is not None:
            global_period_us, global_quota_us = in_force_us, kernel.cpu_quota_us
        else:
            period_us, quota_us = in_force_us, _per_vcpu(config, kernel)
    return (
        ullong("cpu_shares", DEFAULT_SHARES if shares is None else shares),
        ullong("vcpu_period", period_us),
        llong("vcpu_quota", _NO_QUOTA if quota_us is None else quota_us),
        ullong("global_period", global_period_us),
        llong("global_quota", _NO_QUOTA if global_quota_us is None else global_quota_us),
        ullong("pids_limit", pids),
    )


def _per_vcpu(config: DomainConfig, kernel: Resources) -> int | None:
    """None also for the whole of each CPU, which is what the number of CPUs alone gives."""
    if kernel.cpu_quota_us is None:
        return None
    quota_us = kernel.cpu_quota_us // config.current_vcpus
    whole = quota_us == (kernel.cpu_period_us or DEFAULT_PERIOD_US)
    return None if whole and config.cpu_tune.quota_us is None else quota_us


def affinity(config: DomainConfig, kernel: Resources | None, count: int, *, length_bytes: int) -> tuple[bytes, ...]:
    """Each CPU's own map while the kernel has what they make together, else the kernel's for all."""
    if kernel is not None and kernel.cpuset is not None:
        wanted = cpus_of(cpu_list(config) or "") or frozenset(node.online_cpus())
        if cpus_of(kernel.cpuset) != wanted:
            return same_maps(values.cpuset_bits(kernel.cpuset), count, length_bytes=length_bytes)
    return cpu_maps(config, count, length_bytes=length_bytes)


def _devices(config: DomainConfig, kernel: Resources | None) -> tuple[TypedParam, ...]:
    """Lists "/dev/sda,100,/dev/sdb,200", one for each kind of limit."""
    if kernel is None:
        rows: list[tuple[str, object]] = [(device.path, device) for device in config.block_io.devices]
    else:
        paths = _paths(config)
        rows = [(_path(limit, paths), limit) for limit in kernel.block_io_limits]
    return tuple(
        string(name, ",".join(f"{path},{getattr(each, field)}" for path, each in rows if getattr(each, field)))
        for name, field in DEVICE_PARAMETERS.items()
    )


def _paths(config: DomainConfig) -> dict[tuple[int, int], str]:
    """Of the disks that the XML names, as it names them."""
    paths = {}
    for device in config.block_io.devices:
        try:
            paths[whole_disk(device.path)] = device.path
        except BadArgument:  # it was unplugged
            continue
    return paths


def _path(limit: BlockIoLimit, paths: dict[tuple[int, int], str]) -> str:
    known = paths.get((limit.major, limit.minor))
    if known is not None:
        return known
    try:
        return f"/dev/{Path(f'/sys/dev/block/{limit.major}:{limit.minor}').resolve(strict=True).name}"
    except OSError:
        return f"/dev/block/{limit.major}:{limit.minor}"
