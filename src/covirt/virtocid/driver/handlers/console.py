# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The one procedure that opens a console."""

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.wire import procedures as proc
from covirt.wire import structs_domain as d

_FORCE, _SAFE = 1, 2  # VIR_DOMAIN_CONSOLE_*; every console here is safe: a second client is refused


class ConsoleHandlers:
    """virsh console."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_OPEN_CONSOLE, self.open_console)

    def open_console(self, ctx: Context, args: d.DomainOpenConsoleArgs) -> None:
        refuse_unknown(args.flags, _FORCE | _SAFE, "virDomainOpenConsole")
        domain = self._driver.domains.by_uuid(args.dom.uuid)
        ctx.open_stream(self._driver.consoles.open(domain, args.dev_name, force=bool(args.flags & _FORCE)))
