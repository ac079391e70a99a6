# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The two procedures that open a byte stream to a container: a console, or a channel."""

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.wire import procedures as proc
from covirt.wire import structs_domain as d

_FORCE, _SAFE = 1, 2  # VIR_DOMAIN_CONSOLE_*; every console here is safe: a second client is refused


_CHANNEL_FORCE = 1  # VIR_DOMAIN_CHANNEL_FORCE: any number of clients may be on these channels, so nobody is put out


class ConsoleHandlers:
    """virsh console, and virDomainOpenChannel."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_OPEN_CONSOLE, self.open_console)
        table.add(proc.DOMAIN_OPEN_CHANNEL, self.open_channel)

    def open_console(self, ctx: Context, args: d.DomainOpenConsoleArgs) -> None:
        refuse_unknown(args.flags, _FORCE | _SAFE, "virDomainOpenConsole")
        domain = self._driver.domains.by_uuid(args.dom.uuid)
        ctx.open_stream(self._driver.consoles.open(domain, args.dev_name, force=bool(args.flags & _FORCE)))

    def open_channel(self, ctx: Context, args: d.DomainOpenChannelArgs) -> None:
        refuse_unknown(args.flags, _CHANNEL_FORCE, "virDomainOpenChannel")
        domain = self._driver.domains.by_uuid(args.dom.uuid)
        client = f"uid {ctx.client.uid} pid {ctx.client.pid}"
        ctx.open_stream(self._driver.channels.open(domain, args.name, client=client))
