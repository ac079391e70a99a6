# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures for title, description and the metadata of other programs."""

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.affect import AFFECT
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.wire import procedures as proc
from covirt.wire import structs_domain as d


class MetadataHandlers:
    """virsh desc and virsh metadata."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_GET_METADATA, self.get)
        table.add(proc.DOMAIN_SET_METADATA, self.set)

    def get(self, ctx: Context, args: d.DomainGetMetadataArgs) -> d.DomainGetMetadataRet:
        refuse_unknown(args.flags, AFFECT, "virDomainGetMetadata")
        domain = self._driver.domains.by_uuid(args.dom.uuid)
        text = self._driver.metadata.get(domain, args.type, args.uri, args.flags, secure=not ctx.readonly)
        return d.DomainGetMetadataRet(metadata=text)

    def set(self, _ctx: Context, args: d.DomainSetMetadataArgs) -> None:
        refuse_unknown(args.flags, AFFECT, "virDomainSetMetadata")
        domain = self._driver.domains.by_uuid(args.dom.uuid)
        self._driver.metadata.set(domain, args.type, args.metadata, key=args.key, uri=args.uri, flags=args.flags)
