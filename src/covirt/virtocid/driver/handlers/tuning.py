# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures that tell the limits of domains."""

from typing import Final

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.affinity import cpu_maps
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import BadArgument
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.wire import procedures as proc
from covirt.wire import structs as s
from covirt.wire import structs_domain as d
from covirt.wire.params import TypedParam, llong, uint, ullong

_AFFECT_LIVE, _AFFECT_CONFIG = 1, 2  # VIR_DOMAIN_AFFECT_*
_TEXTS_WELCOME: Final = 4  # VIR_TYPED_PARAM_STRING_OKAY
_UNLIMITED_KIB: Final = 9007199254740991  # VIR_DOMAIN_MEMORY_PARAM_UNLIMITED
_DEFAULT_SHARES: Final = 1024
_DEFAULT_PERIOD_US: Final = 100_000
_NO_QUOTA: Final = -1


class TuningHandlers:
    """Reading schedinfo, memtune and blkiotune."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_GET_SCHEDULER_TYPE, self.scheduler_type)
        table.add(proc.DOMAIN_GET_SCHEDULER_PARAMETERS, self.scheduler_parameters)
        table.add(proc.DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS, self.scheduler_parameters_flags)
        table.add(proc.DOMAIN_GET_VCPU_PIN_INFO, self.vcpu_pins)
        table.add(proc.DOMAIN_GET_MEMORY_PARAMETERS, self.memory_parameters)
        table.add(proc.DOMAIN_GET_BLKIO_PARAMETERS, self.block_io_parameters)

    def _domain(self, dom: s.RemoteDomain) -> Domain:
        return self._driver.domains.by_uuid(dom.uuid)

    def _config(self, dom: s.RemoteDomain, flags: int) -> DomainConfig:
        """The running or the configured limits, as the flags ask."""
        refuse_unknown(flags, _AFFECT_LIVE | _AFFECT_CONFIG | _TEXTS_WELCOME, "virDomainGet…Parameters")
        domain = self._domain(dom)
        if flags & _AFFECT_LIVE and flags & _AFFECT_CONFIG:
            raise BadArgument(what="ask for the running or for the configured values, not both")
        if flags & _AFFECT_LIVE:
            domain.require_run()
        return domain.next_config if flags & _AFFECT_CONFIG else domain.config

    def scheduler_type(self, _ctx: Context, args: s.DomainArgs) -> d.DomainGetSchedulerTypeRet:
        return d.DomainGetSchedulerTypeRet(type="posix", nparams=len(_scheduler(self._domain(args.dom).config)))

    def scheduler_parameters(self, _ctx: Context, args: d.DomainGetSchedulerParametersArgs) -> s.Params16Ret:
        return s.Params16Ret(params=_scheduler(self._domain(args.dom).config)[: args.nparams])

    def scheduler_parameters_flags(self, _ctx: Context, args: s.DomainNparamsFlagsArgs) -> s.Params16Ret:
        return s.Params16Ret(params=_scheduler(self._config(args.dom, args.flags))[: args.nparams])

    def vcpu_pins(self, _ctx: Context, args: d.DomainGetVcpuPinInfoArgs) -> d.DomainGetVcpuPinInfoRet:
        config = self._config(args.dom, args.flags)
        count = max(0, min(config.vcpus, args.ncpumaps))
        maps = cpu_maps(config, count, length_bytes=args.maplen)
        return d.DomainGetVcpuPinInfoRet(cpumaps=b"".join(maps), num=count)

    def memory_parameters(self, _ctx: Context, args: s.DomainNparamsFlagsArgs) -> s.Params16NparamsRet:
        tune = self._config(args.dom, args.flags).memory_tune
        values = {
            "hard_limit": tune.hard_limit_kib,
            "soft_limit": tune.soft_limit_kib,
            "swap_hard_limit": tune.swap_hard_limit_kib,
        }
        params = tuple(ullong(field, _UNLIMITED_KIB if value is None else value) for field, value in values.items())
        return s.Params16NparamsRet(params=params[: args.nparams], nparams=len(params))

    def block_io_parameters(self, _ctx: Context, args: s.DomainNparamsFlagsArgs) -> s.Params16NparamsRet:
        weight = self._config(args.dom, args.flags).block_io.weight
        params = () if weight is None else (uint("weight", weight),)
        return s.Params16NparamsRet(params=params[: args.nparams], nparams=len(params))


def _scheduler(config: DomainConfig) -> tuple[TypedParam, ...]:
    tune = config.cpu_tune
    return (
        ullong("cpu_shares", _DEFAULT_SHARES if tune.shares is None else tune.shares),
        ullong("vcpu_period", _DEFAULT_PERIOD_US if tune.period_us is None else tune.period_us),
        llong("vcpu_quota", _NO_QUOTA if tune.quota_us is None else tune.quota_us),
        ullong("global_period", _DEFAULT_PERIOD_US if tune.global_period_us is None else tune.global_period_us),
        llong("global_quota", _NO_QUOTA if tune.global_quota_us is None else tune.global_quota_us),
    )
