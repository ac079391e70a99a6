# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures that attach, detach and change devices."""

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.affect import AFFECT
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.wire import procedures as proc
from covirt.wire import procedures_devices as devices
from covirt.wire import structs as s
from covirt.wire.constants import AffectFlag
from covirt.wire.structs_devices import DomainDetachDeviceAliasArgs

_FORCE = 4  # VIR_DOMAIN_DEVICE_MODIFY_FORCE: of a tray that the guest holds shut; here nothing is held


class DeviceHandlers:
    """attach-device, detach-device, update-device and what virsh builds on them."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_ATTACH_DEVICE, self.attach)
        table.add(proc.DOMAIN_ATTACH_DEVICE_FLAGS, self.attach_flags)
        table.add(proc.DOMAIN_DETACH_DEVICE, self.detach)
        table.add(proc.DOMAIN_DETACH_DEVICE_FLAGS, self.detach_flags)
        table.add(devices.DOMAIN_DETACH_DEVICE_ALIAS, self.detach_alias)
        table.add(proc.DOMAIN_UPDATE_DEVICE_FLAGS, self.update_flags)

    def _domain(self, dom: s.RemoteDomain) -> Domain:
        return self._driver.domains.by_uuid(dom.uuid)

    def attach(self, _ctx: Context, args: s.DomainXmlArgs) -> None:
        """Without flags libvirt means the running domain, and nothing else."""
        self._driver.devices.attach(self._domain(args.dom), args.xml, AffectFlag.LIVE)

    def attach_flags(self, _ctx: Context, args: s.DomainXmlFlagsArgs) -> None:
        refuse_unknown(args.flags, AFFECT, "virDomainAttachDeviceFlags")
        self._driver.devices.attach(self._domain(args.dom), args.xml, args.flags)

    def detach(self, _ctx: Context, args: s.DomainXmlArgs) -> None:
        self._driver.devices.detach(self._domain(args.dom), args.xml, AffectFlag.LIVE)

    def detach_flags(self, _ctx: Context, args: s.DomainXmlFlagsArgs) -> None:
        refuse_unknown(args.flags, AFFECT, "virDomainDetachDeviceFlags")
        self._driver.devices.detach(self._domain(args.dom), args.xml, args.flags)

    def detach_alias(self, _ctx: Context, args: DomainDetachDeviceAliasArgs) -> None:
        refuse_unknown(args.flags, AFFECT, "virDomainDetachDeviceAlias")
        self._driver.devices.detach_alias(self._domain(args.dom), args.alias, args.flags)

    def update_flags(self, _ctx: Context, args: s.DomainXmlFlagsArgs) -> None:
        refuse_unknown(args.flags, AFFECT | _FORCE, "virDomainUpdateDeviceFlags")
        self._driver.devices.update(self._domain(args.dom), args.xml, args.flags)
