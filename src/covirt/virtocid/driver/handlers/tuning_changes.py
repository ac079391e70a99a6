# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures that change the limits of domains."""

from collections.abc import Mapping
from typing import Final

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver import node, tuning_changes
from covirt.virtocid.driver.affect import AFFECT
from covirt.virtocid.driver.affinity import cpu_text
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import BadArgument, LiveMaximum, NotSupported
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.virtocid.driver.handlers.params import Known, checked, numbers, words
from covirt.virtocid.driver.tuning_changes import DEVICE_PARAMETERS, Change
from covirt.virtocid.events import EventBus
from covirt.wire import procedures as proc
from covirt.wire import procedures_tuning as proc_tuning
from covirt.wire import structs as s
from covirt.wire import structs_domain as d
from covirt.wire import structs_tuning as t
from covirt.wire.constants import TYPED_PARAM_STRING_OKAY, AffectFlag
from covirt.wire.params import ParamType, ParamValue, TypedParam, string

_GUEST, _HOTPLUGGABLE = 8, 16  # VIR_DOMAIN_VCPU_*

_SCHEDULER: Final[Known] = {
    "cpu_shares": ParamType.ULLONG,
    "vcpu_period": ParamType.ULLONG,
    "vcpu_quota": ParamType.LLONG,
    "global_period": ParamType.ULLONG,
    "global_quota": ParamType.LLONG,
    "pids_limit": ParamType.ULLONG,  # ours: libvirt has no word for processes
}
_NO_THREADS: Final = dict.fromkeys(
    ("emulator_period", "emulator_quota", "iothread_period", "iothread_quota"),
    "it has neither an emulator nor threads of one",
)
_MEMORY: Final[Known] = dict.fromkeys(("hard_limit", "soft_limit", "swap_hard_limit"), ParamType.ULLONG)
_NO_GUARANTEE: Final = {"min_guarantee": "memory is limited and not set aside; soft_limit says what it keeps longest"}
_BLOCK_IO: Final[Known] = {"weight": ParamType.UINT, **dict.fromkeys(DEVICE_PARAMETERS, ParamType.STRING)}
_NUMA: Final[Known] = {"numa_mode": ParamType.INT, "numa_nodeset": ParamType.STRING}


class TuningChangeHandlers:
    """setmem, setvcpus, vcpupin, schedinfo, memtune, blkiotune, numatune and their kin."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_SET_MEMORY, self.set_memory)
        table.add(proc.DOMAIN_SET_MAX_MEMORY, self.set_max_memory)
        table.add(proc.DOMAIN_SET_MEMORY_FLAGS, self.set_memory_flags)
        table.add(proc.DOMAIN_SET_VCPUS, self.set_vcpus)
        table.add(proc.DOMAIN_SET_VCPUS_FLAGS, self.set_vcpus_flags)
        table.add(proc_tuning.DOMAIN_SET_VCPU, self.set_vcpu)
        table.add(proc.DOMAIN_PIN_VCPU, self.pin_vcpu)
        table.add(proc_tuning.DOMAIN_PIN_VCPU_FLAGS, self.pin_vcpu_flags)
        table.add(proc.DOMAIN_SET_SCHEDULER_PARAMETERS, self.set_scheduler)
        table.add(proc.DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS, self.set_scheduler_flags)
        table.add(proc.DOMAIN_SET_MEMORY_PARAMETERS, self.set_memory_parameters)
        table.add(proc.DOMAIN_SET_BLKIO_PARAMETERS, self.set_block_io_parameters)
        table.add(proc_tuning.DOMAIN_SET_NUMA_PARAMETERS, self.set_numa_parameters)

    def _domain(self, dom: s.RemoteDomain) -> Domain:
        return self._driver.domains.by_uuid(dom.uuid)

    def _change(
        self, domain: Domain, change: Change, *, flags: int, what: str, told: tuple[TypedParam, ...] = ()
    ) -> None:
        def announce(bus: EventBus) -> None:
            bus.tunable(domain.remote, told)

        self._driver.tuning.change(domain, change, flags=flags, what=what, announce=announce if told else None)

    def set_memory(self, _ctx: Context, args: d.DomainSetMemoryArgs) -> None:
        self._set_memory(self._domain(args.dom), args.memory, flags=AffectFlag.LIVE)

    def set_max_memory(self, _ctx: Context, args: d.DomainSetMemoryArgs) -> None:
        self._set_memory(self._domain(args.dom), args.memory, flags=AffectFlag.MAXIMUM)

    def set_memory_flags(self, _ctx: Context, args: d.DomainSetMemoryFlagsArgs) -> None:
        refuse_unknown(args.flags, AFFECT | AffectFlag.MAXIMUM, "virDomainSetMemoryFlags")
        self._set_memory(self._domain(args.dom), args.memory, flags=args.flags)

    def _set_memory(self, domain: Domain, kib: int, *, flags: int) -> None:
        if flags & AffectFlag.MAXIMUM:
            _refuse_live_maximum(domain, flags, "memory")
            self._change(domain, tuning_changes.maximum_memory(kib), flags=flags, what="set-max-memory")
            return

        def announce(bus: EventBus) -> None:
            bus.balloon_change(domain.remote, kib)

        self._driver.tuning.change(
            domain, tuning_changes.memory(kib), flags=flags, what="set-memory", announce=announce
        )

    def set_vcpus(self, _ctx: Context, args: d.DomainSetVcpusArgs) -> None:
        self._set_vcpus(self._domain(args.dom), args.nvcpus, flags=AffectFlag.LIVE)

    def set_vcpus_flags(self, _ctx: Context, args: d.DomainSetVcpusFlagsArgs) -> None:
        known = AFFECT | AffectFlag.MAXIMUM | _GUEST | _HOTPLUGGABLE
        refuse_unknown(args.flags, known, "virDomainSetVcpusFlags")
        self._set_vcpus(self._domain(args.dom), args.nvcpus, flags=args.flags)

    def _set_vcpus(self, domain: Domain, count: int, *, flags: int) -> None:
        if flags & _GUEST:
            raise NotSupported(
                what="switching CPUs off inside", reason="it sees the host's; leave --guest away to bound its time"
            )
        if flags & AffectFlag.MAXIMUM:
            _refuse_live_maximum(domain, flags, "number of CPUs")
            change = tuning_changes.maximum_vcpus(count)
        else:
            change = tuning_changes.vcpus(count)
        self._change(domain, change, flags=flags, what="set-vcpus")

    def set_vcpu(self, _ctx: Context, args: t.DomainSetVcpuArgs) -> None:
        refuse_unknown(args.flags, AFFECT, "virDomainSetVcpu")
        try:
            chosen = values.cpuset_members(values.cpuset(args.cpumap))
        except ValueError as error:
            raise BadArgument(what=str(error)) from error
        change = tuning_changes.vcpu_state(chosen, online=bool(args.state))
        self._change(self._domain(args.dom), change, flags=args.flags, what="set-vcpu")

    def pin_vcpu(self, _ctx: Context, args: d.DomainPinVcpuArgs) -> None:
        self._pin(args.dom, args.vcpu, args.cpumap, flags=AffectFlag.LIVE)

    def pin_vcpu_flags(self, _ctx: Context, args: d.DomainPinVcpuFlagsArgs) -> None:
        refuse_unknown(args.flags, AFFECT, "virDomainPinVcpuFlags")
        self._pin(args.dom, args.vcpu, args.cpumap, flags=args.flags)

    def _pin(self, dom: s.RemoteDomain, vcpu: int, cpu_map: bytes, *, flags: int) -> None:
        bits = int.from_bytes(cpu_map, "little")
        cpus = frozenset(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)
        change = tuning_changes.pin(vcpu, cpus, everywhere=frozenset(node.online_cpus()))
        told = (string(f"cputune.vcpupin{vcpu}", cpu_text(cpus)),)
        self._change(self._domain(dom), change, flags=flags, what="pin-vcpu", told=told)

    def set_scheduler(self, _ctx: Context, args: d.DomainSetSchedulerParametersArgs) -> None:
        self._set_scheduler(args.dom, args.params, flags=0)

    def set_scheduler_flags(self, _ctx: Context, args: s.DomainParams16FlagsArgs) -> None:
        refuse_unknown(args.flags, AFFECT | TYPED_PARAM_STRING_OKAY, "virDomainSetSchedulerParametersFlags")
        self._set_scheduler(args.dom, args.params, flags=args.flags)

    def _set_scheduler(self, dom: s.RemoteDomain, params: tuple[TypedParam, ...], *, flags: int) -> None:
        given = checked(params, _SCHEDULER, refused=_NO_THREADS)
        told = _renamed("cputune", given, _SCHEDULER)
        change = tuning_changes.scheduler(numbers(given))
        self._change(self._domain(dom), change, flags=flags, what="set-scheduler", told=told)

    def set_memory_parameters(self, _ctx: Context, args: s.DomainParams16FlagsArgs) -> None:
        refuse_unknown(args.flags, AFFECT | TYPED_PARAM_STRING_OKAY, "virDomainSetMemoryParameters")
        given = checked(args.params, _MEMORY, refused=_NO_GUARANTEE)
        change = tuning_changes.memory_tune(numbers(given))
        self._change(self._domain(args.dom), change, flags=args.flags, what="set-memory-limits")

    def set_block_io_parameters(self, _ctx: Context, args: s.DomainParams16FlagsArgs) -> None:
        refuse_unknown(args.flags, AFFECT | TYPED_PARAM_STRING_OKAY, "virDomainSetBlkioParameters")
        change = tuning_changes.block_io(words(checked(args.params, _BLOCK_IO)))
        self._change(self._domain(args.dom), change, flags=args.flags, what="set-block-io")

    def set_numa_parameters(self, _ctx: Context, args: s.DomainParams16FlagsArgs) -> None:
        refuse_unknown(args.flags, AFFECT | TYPED_PARAM_STRING_OKAY, "virDomainSetNumaParameters")
        change = tuning_changes.numa(words(checked(args.params, _NUMA)))
        self._change(self._domain(args.dom), change, flags=args.flags, what="set-numa")


def _refuse_live_maximum(domain: Domain, flags: int, what: str) -> None:
    """As libvirt's own drivers: a maximum is what a run was started with."""
    if flags & AffectFlag.LIVE or (not flags & AffectFlag.CONFIG and domain.active):
        domain.require_run()
        raise LiveMaximum(name=domain.name, what=what)


def _renamed(group: str, given: Mapping[str, ParamValue], known: Known) -> tuple[TypedParam, ...]:
    """As libvirt's events name them."""
    return tuple(TypedParam(f"{group}.{name}", known[name], value) for name, value in given.items())
