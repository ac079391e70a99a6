# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures that find domains and tell what they are."""

from uuid import UUID

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import BadArgument
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.virtocid.driver.listing import FILTER_BITS, matches
from covirt.wire import procedures as proc
from covirt.wire import structs as s
from covirt.wire import structs_connect as c
from covirt.wire import structs_domain as d

# VIR_DOMAIN_XML_*. A container has neither a CPU model to update nor a form for migration.
_XML_SECURE, _XML_INACTIVE, _XML_UPDATE_CPU, _XML_MIGRATABLE = 1, 2, 4, 8
_VCPU_LIVE, _VCPU_CONFIG, _VCPU_MAXIMUM = 1, 2, 4  # VIR_DOMAIN_VCPU_*
_MESSAGES = 1 | 2  # VIR_DOMAIN_MESSAGE_DEPRECATION and _TAINTING


class LookupHandlers:
    """Lists, look-ups and identity."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.CONNECT_LIST_ALL_DOMAINS, self.list_all)
        table.add(proc.CONNECT_LIST_DOMAINS, self.list_ids)
        table.add(proc.CONNECT_LIST_DEFINED_DOMAINS, self.list_defined)
        table.add(proc.CONNECT_NUM_OF_DOMAINS, lambda _ctx, _args: s.NumRet(num=len(self._active())))
        table.add(proc.CONNECT_NUM_OF_DEFINED_DOMAINS, lambda _ctx, _args: s.NumRet(num=len(self._inactive())))
        table.add(proc.DOMAIN_LOOKUP_BY_ID, self.by_id)
        table.add(proc.DOMAIN_LOOKUP_BY_NAME, self.by_name)
        table.add(proc.DOMAIN_LOOKUP_BY_UUID, self.by_uuid)
        table.add(proc.DOMAIN_GET_INFO, self.info)
        table.add(proc.DOMAIN_GET_STATE, self.state)
        table.add(proc.DOMAIN_GET_XML_DESC, self.xml_desc)
        table.add(proc.DOMAIN_GET_OS_TYPE, self.os_type)
        table.add(proc.DOMAIN_GET_AUTOSTART, self.autostart)
        table.add(proc.DOMAIN_GET_MAX_MEMORY, self.max_memory)
        table.add(proc.DOMAIN_GET_MAX_VCPUS, self.max_vcpus)
        table.add(proc.DOMAIN_GET_VCPUS_FLAGS, self.vcpus_flags)
        table.add(
            proc.DOMAIN_IS_ACTIVE, lambda _ctx, args: s.ActiveRet(active=int(self._domain(args.dom.uuid).active))
        )
        table.add(proc.DOMAIN_IS_PERSISTENT, self.is_persistent)
        table.add(proc.DOMAIN_IS_UPDATED, self.is_updated)
        table.add(proc.DOMAIN_GET_CONTROL_INFO, self.control_info)
        table.add(proc.DOMAIN_GET_MESSAGES, self.messages)

    def _domain(self, uuid: UUID) -> Domain:
        return self._driver.domains.by_uuid(uuid)

    def _active(self) -> list[Domain]:
        return [domain for domain in self._driver.domains.all() if domain.active]

    def _inactive(self) -> list[Domain]:
        return [domain for domain in self._driver.domains.all() if not domain.active]

    def list_all(self, _ctx: Context, args: s.ListArgs) -> c.ConnectListAllDomainsRet:
        refuse_unknown(args.flags, FILTER_BITS, "virConnectListAllDomains")
        found = [domain for domain in self._driver.domains.all() if matches(domain, args.flags)]
        domains = tuple(domain.remote for domain in found) if args.need_results else ()
        return c.ConnectListAllDomainsRet(domains=domains, ret=len(found))

    def list_ids(self, _ctx: Context, args: c.ConnectListDomainsArgs) -> c.ConnectListDomainsRet:
        ids = tuple(domain.domain_id for domain in self._active())
        return c.ConnectListDomainsRet(ids=ids[: max(0, args.maxids)])

    def list_defined(self, _ctx: Context, args: s.MaxNamesArgs) -> s.NamesRet:
        names = tuple(domain.name for domain in self._inactive())
        return s.NamesRet(names=names[: max(0, args.maxnames)])

    def by_id(self, _ctx: Context, args: d.DomainLookupByIdArgs) -> s.DomainRet:
        return s.DomainRet(dom=self._driver.domains.by_id(args.id).remote)

    def by_name(self, _ctx: Context, args: s.NameArgs) -> s.DomainRet:
        return s.DomainRet(dom=self._driver.domains.by_name(args.name).remote)

    def by_uuid(self, _ctx: Context, args: s.UuidArgs) -> s.DomainRet:
        return s.DomainRet(dom=self._domain(args.uuid).remote)

    def info(self, _ctx: Context, args: s.DomainArgs) -> d.DomainGetInfoRet:
        domain = self._domain(args.dom.uuid)
        config = domain.config
        usage = self._driver.stats.usage(domain)
        return d.DomainGetInfoRet(
            state=domain.state[0],
            max_mem=config.memory_kib,
            memory=self._driver.tuning.memory_kib(domain),
            nr_virt_cpu=config.current_vcpus,
            cpu_time=(usage.cpu_total_ns or 0) if usage else 0,
        )

    def state(self, _ctx: Context, args: s.DomainFlagsArgs) -> d.DomainGetStateRet:
        refuse_unknown(args.flags, 0, "virDomainGetState")
        state, reason = self._domain(args.dom.uuid).state
        return d.DomainGetStateRet(state=state, reason=reason)

    def xml_desc(self, ctx: Context, args: s.DomainFlagsArgs) -> s.XmlRet:
        known = _XML_SECURE | _XML_INACTIVE | _XML_UPDATE_CPU | _XML_MIGRATABLE
        refuse_unknown(args.flags, known, "virDomainGetXMLDesc")
        domain = self._domain(args.dom.uuid)
        inactive = bool(args.flags & _XML_INACTIVE)
        return s.XmlRet(xml=self._driver.describe(domain, inactive=inactive, secure=not ctx.readonly))

    def os_type(self, _ctx: Context, args: s.DomainArgs) -> s.TypeRet:
        self._domain(args.dom.uuid)
        return s.TypeRet(type="exe")

    def autostart(self, _ctx: Context, args: s.DomainArgs) -> s.AutostartRet:
        return s.AutostartRet(autostart=int(self._domain(args.dom.uuid).facts.autostart))

    def max_memory(self, _ctx: Context, args: s.DomainArgs) -> d.DomainGetMaxMemoryRet:
        return d.DomainGetMaxMemoryRet(memory=self._domain(args.dom.uuid).config.memory_kib)

    def max_vcpus(self, _ctx: Context, args: s.DomainArgs) -> s.NumRet:
        return s.NumRet(num=self._domain(args.dom.uuid).config.vcpus)

    def vcpus_flags(self, _ctx: Context, args: s.DomainFlagsArgs) -> s.NumRet:
        domain = self._domain(args.dom.uuid)
        refuse_unknown(args.flags, _VCPU_LIVE | _VCPU_CONFIG | _VCPU_MAXIMUM, "virDomainGetVcpusFlags")
        if args.flags & _VCPU_LIVE and args.flags & _VCPU_CONFIG:
            raise BadArgument(what="ask for the running or for the configured number of CPUs, not both")
        if args.flags & _VCPU_LIVE:
            domain.require_run()
        config = domain.next_config if args.flags & _VCPU_CONFIG else domain.config
        return s.NumRet(num=config.vcpus if args.flags & _VCPU_MAXIMUM else config.current_vcpus)

    def is_persistent(self, _ctx: Context, args: s.DomainArgs) -> s.PersistentRet:
        return s.PersistentRet(persistent=int(self._domain(args.dom.uuid).persistent))

    def is_updated(self, _ctx: Context, args: s.DomainArgs) -> d.DomainIsUpdatedRet:
        self._domain(args.dom.uuid)
        return d.DomainIsUpdatedRet(updated=0)

    def control_info(self, _ctx: Context, args: s.DomainFlagsArgs) -> d.DomainGetControlInfoRet:
        refuse_unknown(args.flags, 0, "virDomainGetControlInfo")
        self._domain(args.dom.uuid).require_run()
        return d.DomainGetControlInfoRet(state=0, details=0, state_time=0)

    def messages(self, _ctx: Context, args: s.DomainFlagsArgs) -> d.DomainGetMessagesRet:
        """What virsh dominfo shows below: everything looser than the defaults, and why it last stopped."""
        refuse_unknown(args.flags, _MESSAGES, "virDomainGetMessages")
        return d.DomainGetMessagesRet(msgs=self._driver.messages(self._domain(args.dom.uuid)))
