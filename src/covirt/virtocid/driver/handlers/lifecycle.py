# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures that define, start and end domains."""

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import NotSupported
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.wire import procedures as proc
from covirt.wire import structs as s
from covirt.wire import structs_domain as d

# VIR_DOMAIN_START_*
_START_PAUSED, _START_AUTODESTROY, _START_BYPASS_CACHE, _START_FORCE_BOOT, _START_VALIDATE = 1, 2, 4, 8, 16
_START_RESET_NVRAM = 32
_DESTROY_GRACEFUL, _DESTROY_REMOVE_LOGS = 1, 2  # VIR_DOMAIN_DESTROY_*; there are no logs of a daemon to remove
# VIR_DOMAIN_SHUTDOWN_* and VIR_DOMAIN_REBOOT_*: a container has a stop signal, which is what ACPI, a guest agent, an
# init and a signal have in common; it has no paravirtual channel.
_SHUTDOWN_PARAVIRT = 16
_SHUTDOWN_KNOWN = 1 | 2 | 4 | 8 | 16
# VIR_DOMAIN_UNDEFINE_*: none of these things exists for a container, so there is nothing to refuse either.
_UNDEFINE_KNOWN = 1 | 2 | 4 | 8 | 16 | 32 | 64


class LifecycleHandlers:
    """define, create, shutdown, destroy and their kin."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_DEFINE_XML, self.define)
        table.add(proc.DOMAIN_DEFINE_XML_FLAGS, self.define_flags)
        table.add(proc.DOMAIN_UNDEFINE, self.undefine)
        table.add(proc.DOMAIN_UNDEFINE_FLAGS, self.undefine_flags)
        table.add(proc.DOMAIN_CREATE, self.create)
        table.add(proc.DOMAIN_CREATE_WITH_FLAGS, self.create_with_flags)
        table.add(proc.DOMAIN_CREATE_XML, self.create_xml)
        table.add(proc.DOMAIN_SHUTDOWN, self.shutdown)
        table.add(proc.DOMAIN_SHUTDOWN_FLAGS, self.shutdown_flags)
        table.add(proc.DOMAIN_DESTROY, self.destroy)
        table.add(proc.DOMAIN_DESTROY_FLAGS, self.destroy_flags)
        table.add(proc.DOMAIN_REBOOT, self.reboot)
        table.add(proc.DOMAIN_RESET, self.reset)
        table.add(proc.DOMAIN_SUSPEND, self.suspend)
        table.add(proc.DOMAIN_RESUME, self.resume)
        table.add(proc.DOMAIN_SET_AUTOSTART, self.set_autostart)
        table.add(proc.DOMAIN_SEND_PROCESS_SIGNAL, self.send_process_signal)

    def _domain(self, dom: s.RemoteDomain) -> Domain:
        return self._driver.domains.by_uuid(dom.uuid)

    def define(self, _ctx: Context, args: s.XmlArgs) -> s.DomainRet:
        return s.DomainRet(dom=self._driver.definitions.define(args.xml).remote)

    def define_flags(self, _ctx: Context, args: s.XmlFlagsArgs) -> s.DomainRet:
        refuse_unknown(args.flags, 1, "virDomainDefineXMLFlags")
        return s.DomainRet(dom=self._driver.definitions.define(args.xml).remote)

    def undefine(self, _ctx: Context, args: s.DomainArgs) -> None:
        self._driver.definitions.undefine(self._domain(args.dom))

    def undefine_flags(self, _ctx: Context, args: s.DomainFlagsArgs) -> None:
        refuse_unknown(args.flags, _UNDEFINE_KNOWN, "virDomainUndefineFlags")
        self._driver.definitions.undefine(self._domain(args.dom))

    def create(self, _ctx: Context, args: s.DomainArgs) -> None:
        self._driver.lifecycle.start(self._domain(args.dom), paused=False)

    def create_with_flags(self, _ctx: Context, args: s.DomainFlagsArgs) -> s.DomainRet:
        domain = self._domain(args.dom)
        self._driver.lifecycle.start(domain, paused=_paused(args.flags))
        return s.DomainRet(dom=domain.remote)

    def create_xml(self, _ctx: Context, args: s.XmlFlagsArgs) -> s.DomainRet:
        return s.DomainRet(dom=self._driver.create(args.xml, paused=_paused(args.flags)).remote)

    def shutdown(self, _ctx: Context, args: s.DomainArgs) -> None:
        self._driver.lifecycle.shutdown(self._domain(args.dom))

    def shutdown_flags(self, _ctx: Context, args: s.DomainFlagsArgs) -> None:
        _refuse_paravirt_only(args.flags, "shutdown")
        self._driver.lifecycle.shutdown(self._domain(args.dom))

    def destroy(self, _ctx: Context, args: s.DomainArgs) -> None:
        self._driver.lifecycle.destroy(self._domain(args.dom), graceful=False)

    def destroy_flags(self, _ctx: Context, args: s.DomainFlagsArgs) -> None:
        refuse_unknown(args.flags, _DESTROY_GRACEFUL | _DESTROY_REMOVE_LOGS, "virDomainDestroyFlags")
        graceful = bool(args.flags & _DESTROY_GRACEFUL)
        self._driver.lifecycle.destroy(self._domain(args.dom), graceful=graceful)

    def reboot(self, _ctx: Context, args: s.DomainFlagsArgs) -> None:
        _refuse_paravirt_only(args.flags, "reboot")
        self._driver.lifecycle.reboot(self._domain(args.dom))

    def reset(self, _ctx: Context, args: s.DomainFlagsArgs) -> None:
        refuse_unknown(args.flags, 0, "virDomainReset")
        self._driver.lifecycle.reset(self._domain(args.dom))

    def suspend(self, _ctx: Context, args: s.DomainArgs) -> None:
        self._driver.lifecycle.suspend(self._domain(args.dom))

    def resume(self, _ctx: Context, args: s.DomainArgs) -> None:
        self._driver.lifecycle.resume(self._domain(args.dom))

    def set_autostart(self, _ctx: Context, args: d.DomainSetAutostartArgs) -> None:
        self._driver.definitions.set_autostart(self._domain(args.dom), autostart=bool(args.autostart))

    def send_process_signal(self, _ctx: Context, args: d.DomainSendProcessSignalArgs) -> None:
        refuse_unknown(args.flags, 0, "virDomainSendProcessSignal")
        self._driver.lifecycle.signal(self._domain(args.dom), pid=args.pid_value, libvirt_signal=args.signum)


def _paused(flags: int) -> bool:
    known = _START_PAUSED | _START_BYPASS_CACHE | _START_FORCE_BOOT | _START_VALIDATE | _START_RESET_NVRAM
    if flags & _START_AUTODESTROY:
        raise NotSupported(
            what="autodestroy", reason="containers outlive their clients; destroy it when you are done"
        )
    refuse_unknown(flags, known, "virDomainCreate")
    return bool(flags & _START_PAUSED)


def _refuse_paravirt_only(flags: int, what: str) -> None:
    """As libvirt does, several ways may be asked for and one that works is taken."""
    refuse_unknown(flags, _SHUTDOWN_KNOWN, f"virDomain{what.capitalize()}")
    if flags == _SHUTDOWN_PARAVIRT:
        raise NotSupported(
            what=f"{what} by a paravirtual channel", reason="it has none; leave --mode away to use its stop signal"
        )
