# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures for the limits of single disks: virsh blkdeviotune."""

from typing import Final

from covirt.oci.resources import BlockIoLimit
from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver import tuning_changes
from covirt.virtocid.driver.affect import AFFECT, asks_live
from covirt.virtocid.driver.disk_facts import throttled_device
from covirt.virtocid.driver.disk_limits import disk_tune
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.model import Disk, DiskIoTune
from covirt.virtocid.driver.domain_xml.parse_tuning import DISK_RATES
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import NoSuchDisk, UnknownParameter
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.virtocid.driver.handlers.params import Known, checked, numbers
from covirt.virtocid.events import EventBus
from covirt.wire import procedures_tuning as proc
from covirt.wire import structs_tuning as t
from covirt.wire.constants import TYPED_PARAM_STRING_OKAY
from covirt.wire.params import ParamType, string, ullong

# What QEMU has and the kernel's throttle has not: accepted where it says "none".
_BURSTS: Final = tuple(f"{name}_max{length}" for name in DISK_RATES for length in ("", "_length"))
_KNOWN: Final[Known] = dict.fromkeys((*DISK_RATES, *_BURSTS, "size_iops_sec"), ParamType.ULLONG)
_NO_GROUP: Final = {
    "group_name": "each container has limits of its own; <blkiotune> bounds a whole device of the host"
}


class DiskTuningHandlers:
    """Reading and changing <iotune>."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_SET_BLOCK_IO_TUNE, self.set_block_io_tune)
        table.add(proc.DOMAIN_GET_BLOCK_IO_TUNE, self.block_io_tune)

    def set_block_io_tune(self, _ctx: Context, args: t.DomainSetBlockIoTuneArgs) -> None:
        refuse_unknown(args.flags, AFFECT | TYPED_PARAM_STRING_OKAY, "virDomainSetBlockIoTune")
        domain = self._driver.domains.by_uuid(args.dom.uuid)
        given = numbers(checked(args.params, _KNOWN, refused=_NO_GROUP))
        rates = {name: rate for name, rate in given.items() if name in DISK_RATES}
        for name in given.keys() - rates.keys():
            if given[name]:
                raise UnknownParameter(name=name, reason="the kernel's throttle knows no bursts and no sizes")

        def announce(bus: EventBus) -> None:
            told = (ullong(f"blkdeviotune.{name}", rate) for name, rate in rates.items())
            bus.tunable(domain.remote, (string("blkdeviotune.disk", args.disk), *told))

        change = tuning_changes.disk_io(args.disk, rates)
        self._driver.tuning.change(domain, change, flags=args.flags, what="set-disk-io", announce=announce)

    def block_io_tune(self, _ctx: Context, args: t.DomainGetBlockIoTuneArgs) -> t.DomainGetBlockIoTuneRet:
        refuse_unknown(args.flags, AFFECT | TYPED_PARAM_STRING_OKAY, "virDomainGetBlockIoTune")
        domain = self._driver.domains.by_uuid(args.dom.uuid)
        live = asks_live(args.flags, domain)
        if args.nparams == 0:
            return t.DomainGetBlockIoTuneRet(params=(), nparams=len(DISK_RATES))
        disk = _disk(domain, args.disk or "", live=live)
        tune = self._in_force(domain, disk) if live else disk.io_tune
        params = tuple(ullong(name, getattr(tune, field) or 0) for name, field in DISK_RATES.items())
        return t.DomainGetBlockIoTuneRet(params=params[: args.nparams], nparams=len(params))

    def _in_force(self, domain: Domain, disk: Disk) -> DiskIoTune:
        """By the kernel's word, for the device below the disk."""
        device = throttled_device(domain.require_run(), disk)
        limits = self._driver.tuning.in_force(domain).block_io_limits
        found = next((limit for limit in limits if (limit.major, limit.minor) == device), None)
        return disk_tune(found or BlockIoLimit(major=0, minor=0), disk.io_tune)


def _disk(domain: Domain, name: str, *, live: bool) -> Disk:
    config = domain.config if live else domain.next_config
    for disk in config.disks:
        if name in (disk.target, disk.source):
            return disk
    raise NoSuchDisk(name=domain.name, path=name)
