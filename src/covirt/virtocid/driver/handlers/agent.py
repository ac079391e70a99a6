# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures that libvirt answers through a guest agent: here by looking into the container."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from covirt.oci.inside import Inside, InsideFailed
from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.agent import information, network
from covirt.virtocid.driver.agent.command import Call
from covirt.virtocid.driver.agent.errors import AgentCommandFailed, Refused
from covirt.virtocid.driver.agent.filesystems import GuestFilesystem, filesystems
from covirt.virtocid.driver.agent.texts import decoded
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import BadArgument, NotSupported
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.wire import procedures as proc
from covirt.wire import procedures_agent as agent_proc
from covirt.wire import structs as s
from covirt.wire import structs_agent as a
from covirt.wire import structs_domain as d
from covirt.wire.params import TypedParam, int_, string, uint, ullong

_HOSTNAME_LEASE, _HOSTNAME_AGENT = 1, 2  # VIR_DOMAIN_GET_HOSTNAME_*
# VIR_DOMAIN_GUEST_INFO_*
_USERS, _OS, _TIMEZONE, _HOSTNAME, _FILESYSTEM, _DISKS, _INTERFACES = 1, 2, 4, 8, 16, 32, 64
_EVERYTHING: Final = 127
_MOST_PARAMS: Final = 2048  # libvirt's limit for one answer
_MILLISECONDS: Final = 1000

Params = list[TypedParam]


class AgentHandlers:
    """qemu-agent-command, guestinfo, domfsinfo, domhostname, domtime and their kin."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(agent_proc.QEMU_DOMAIN_AGENT_COMMAND, self.command)
        table.add(agent_proc.DOMAIN_AGENT_SET_RESPONSE_TIMEOUT, self.set_response_timeout)
        table.add(agent_proc.DOMAIN_GET_GUEST_VCPUS, self.guest_vcpus)
        table.add(proc.DOMAIN_GET_GUEST_INFO, self.guest_info)
        table.add(proc.DOMAIN_GET_FSINFO, self.fs_info)
        table.add(proc.DOMAIN_GET_HOSTNAME, self.hostname)
        table.add(proc.DOMAIN_GET_TIME, self.time)

    def _domain(self, dom: s.RemoteDomain) -> Domain:
        return self._driver.domains.by_uuid(dom.uuid)

    def _call(self, dom: s.RemoteDomain) -> Call:
        return self._driver.agent.call(self._domain(dom))

    def command(self, _ctx: Context, args: a.QemuDomainAgentCommandArgs) -> a.QemuDomainAgentCommandRet:
        refuse_unknown(args.flags, 0, "virDomainQemuAgentCommand")
        result = self._driver.agent.command(self._domain(args.dom), args.cmd, timeout=args.timeout)
        return a.QemuDomainAgentCommandRet(result=result)

    def set_response_timeout(self, _ctx: Context, args: a.DomainAgentSetResponseTimeoutArgs) -> s.ResultRet:
        refuse_unknown(args.flags, 0, "virDomainAgentSetResponseTimeout")
        self._driver.agent.set_timeout(self._domain(args.dom), args.timeout)
        return s.ResultRet(result=0)

    def guest_vcpus(self, _ctx: Context, args: s.DomainFlagsArgs) -> s.Params64Ret:
        refuse_unknown(args.flags, 0, "virDomainGetGuestVcpus")
        config = self._call(args.dom).run.config
        params = (
            string("vcpus", _range(config.vcpus)),
            string("online", _range(config.current_vcpus)),
            string("offlinable", ""),
        )
        return s.Params64Ret(params=params)

    def hostname(self, _ctx: Context, args: s.DomainFlagsArgs) -> s.HostnameRet:
        refuse_unknown(args.flags, _HOSTNAME_LEASE | _HOSTNAME_AGENT, "virDomainGetHostname")
        if args.flags & _HOSTNAME_LEASE and args.flags & _HOSTNAME_AGENT:
            raise BadArgument(what="ask for the host name by lease or by agent, not both")
        if args.flags & _HOSTNAME_LEASE:
            raise NotSupported(what="the host name by lease", reason="it is known without; use --source agent")
        call = self._call(args.dom)
        with call.guest.inside(seconds=call.seconds) as inside:
            return s.HostnameRet(hostname=information.host_name(inside.names(seconds=call.seconds)))

    def time(self, _ctx: Context, args: s.DomainFlagsArgs) -> d.DomainGetTimeRet:
        refuse_unknown(args.flags, 0, "virDomainGetTime")
        self._call(args.dom)
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        return d.DomainGetTimeRet(seconds=seconds, nseconds=nanoseconds)

    def fs_info(self, _ctx: Context, args: s.DomainFlagsArgs) -> d.DomainGetFsinfoRet:
        refuse_unknown(args.flags, 0, "virDomainGetFSInfo")
        call = self._call(args.dom)
        with call.guest.inside(seconds=call.seconds) as inside:
            found = filesystems(call, inside)
        info = tuple(
            d.DomainFsinfo(
                mountpoint=each.mountpoint, name=each.name, fstype=each.kind, dev_aliases=_aliases(each.disk)
            )
            for each in found
        )
        return d.DomainGetFsinfoRet(info=info, ret=len(info))

    def guest_info(self, _ctx: Context, args: d.DomainGetGuestInfoArgs) -> d.DomainGetGuestInfoRet:
        refuse_unknown(args.flags, 0, "virDomainGetGuestInfo")
        if args.types & ~_EVERYTHING:
            raise BadArgument(what=f"unsupported guest information types '0x{args.types & ~_EVERYTHING:x}'")
        call = self._call(args.dom)
        wanted = args.types or _EVERYTHING
        params: Params = []
        with call.guest.inside(seconds=call.seconds) as inside:
            for kind, (command, tell) in _KINDS.items():
                if not wanted & kind:
                    continue
                try:
                    params += tell(call, inside)
                except (Refused, InsideFailed) as error:
                    raise AgentCommandFailed(command=command, reason=error) from error
        return d.DomainGetGuestInfoRet(params=tuple(params[:_MOST_PARAMS]))


def _aliases(disk: str | None) -> tuple[str, ...]:
    return () if disk is None else (disk,)


def _range(count: int) -> str:
    return "0" if count == 1 else f"0-{count - 1}"


def _users(call: Call, inside: Inside) -> Params:
    found = list(information.users(inside, seconds=call.seconds).items())[:200]
    params = [uint("user.count", len(found))]
    for number, (name, when) in enumerate(found):
        params.append(string(f"user.{number}.name", name))
        params.append(ullong(f"user.{number}.login-time", int(when * _MILLISECONDS)))
    return params


def _os(call: Call, inside: Inside) -> Params:
    return [string(f"os.{name}", text) for name, text in information.os_facts(inside, seconds=call.seconds).items()]


def _timezone(call: Call, inside: Inside) -> Params:
    zone, offset = information.time_zone(call, inside)
    return [*([] if zone is None else [string("timezone.name", zone)]), int_("timezone.offset", offset)]


def _hostname(call: Call, inside: Inside) -> Params:
    return [string("hostname", information.host_name(inside.names(seconds=call.seconds)))]


def _filesystems(call: Call, inside: Inside) -> Params:
    found = filesystems(call, inside)
    params = [uint("fs.count", len(found))]
    for number, each in enumerate(found):
        params += _filesystem(f"fs.{number}", each)
    return params


def _filesystem(prefix: str, filesystem: GuestFilesystem) -> Params:
    return [
        string(f"{prefix}.mountpoint", filesystem.mountpoint),
        string(f"{prefix}.name", filesystem.name),
        string(f"{prefix}.fstype", filesystem.kind),
        ullong(f"{prefix}.total-bytes", filesystem.total_bytes),
        ullong(f"{prefix}.used-bytes", filesystem.used_bytes),
        uint(f"{prefix}.disk.count", len(_aliases(filesystem.disk))),
        *(string(f"{prefix}.disk.{number}.alias", name) for number, name in enumerate(_aliases(filesystem.disk))),
    ]


def _disks(_call: Call, _inside: Inside) -> Params:
    return [uint("disk.count", 0)]


def _interfaces(call: Call, _inside: Inside) -> Params:
    found = network.interfaces(call)[:50]
    params = [uint("if.count", len(found))]
    for number, each in enumerate(found):
        prefix, addresses = f"if.{number}", each.addresses[:50]
        params.append(string(f"{prefix}.name", decoded(each.name)))
        if each.mac is not None:
            params.append(string(f"{prefix}.hwaddr", each.mac))
        params.append(uint(f"{prefix}.addr.count", len(addresses)))
        for place, address in enumerate(addresses):
            params.append(string(f"{prefix}.addr.{place}.type", network.family(address.version)))
            params.append(string(f"{prefix}.addr.{place}.addr", address.address))
            params.append(uint(f"{prefix}.addr.{place}.prefix", address.prefix))
    return params


# In the order in which libvirt tells them, with the agent's command for each.
_KINDS: Final[Mapping[int, tuple[str, Callable[[Call, Inside], Params]]]] = MappingProxyType(
    {
        _USERS: ("guest-get-users", _users),
        _OS: ("guest-get-osinfo", _os),
        _TIMEZONE: ("guest-get-timezone", _timezone),
        _HOSTNAME: ("guest-get-host-name", _hostname),
        _FILESYSTEM: ("guest-get-fsinfo", _filesystems),
        _DISKS: ("guest-get-disks", _disks),
        _INTERFACES: ("guest-network-get-interfaces", _interfaces),
    }
)
