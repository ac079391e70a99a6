# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every procedure with its answer: libvirt's own list, compared with the handlers and refusals of virtocid."""

import ast
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final, cast

from covirt.virtocid import events
from covirt.virtocid.connection import SESSION_PROCEDURES
from covirt.virtocid.dispatch import HandlerTable
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.handlers.table import handler_table
from covirt.wire import procedures
from covirt.wire.framing import LXC_PROGRAM, QEMU_PROGRAM, REMOTE_PROGRAM
from covirt.wire.protocol import Message
from tools.pages import CannotTell

_LIST: Final = Path(__file__).with_name("procedures.txt")
PROGRAMS: Final[Mapping[str, int]] = {"remote": REMOTE_PROGRAM, "qemu": QEMU_PROGRAM, "lxc": LXC_PROGRAM}
_NEVER_SENT: Final = "nothing that can happen to a container is told so"


class Status(StrEnum):
    SUPPORTED = "supported"
    SENT = "sent"
    REFUSED = "refused"
    NOT_APPLICABLE = "not applicable"


class Unanswered(CannotTell):
    """A procedure that is neither handled nor refused with a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A procedure as libvirt lists it; ``function`` is None where clients call none for it."""

    program: str
    number: int
    name: str
    function: str | None

    @property
    def is_message(self) -> bool:
        """Whether it goes from the daemon to its clients."""
        words = self.name.split("_")
        return "event" in words and not {"register", "deregister"} & set(words) and self.function is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    listed: Listed
    status: Status
    reason: str = ""


@cache
def listed_procedures() -> tuple[Listed, ...]:
    """All of them, in libvirt's order."""
    lines = (line.split() for line in _LIST.read_text().splitlines() if not line.startswith("#"))
    return tuple(
        Listed(program=program, number=int(number), name=name, function=None if function == "-" else function)
        for program, number, name, function in lines
    )


@cache
def conformance() -> tuple[Row, ...]:
    """A row for every procedure. Raises Unanswered."""
    table, sent = table_without_driver(), _sent_messages()
    return tuple(_row(listed, table, sent) for listed in listed_procedures())


class _Nothing:
    """Stands for a driver, and for every part of it."""

    def __getattr__(self, name: str) -> "_Nothing":
        return self


def table_without_driver() -> HandlerTable:
    """All handlers and refusals. None of the handlers can be called: they are bound to nothing."""
    return handler_table(cast(Driver, _Nothing()))


def _row(listed: Listed, table: HandlerTable, sent: frozenset[int]) -> Row:
    program = PROGRAMS[listed.program]
    if listed.is_message:
        if listed.program == "remote" and listed.number in sent:
            return Row(listed=listed, status=Status.SENT)
        return Row(listed=listed, status=Status.NOT_APPLICABLE, reason=_reason_not_sent(listed, table))
    refusal = table.refusal(program, listed.number)
    if refusal is not None:
        status = Status.REFUSED if refusal.applicable else Status.NOT_APPLICABLE
        return Row(listed=listed, status=status, reason=refusal.reason)
    in_session = listed.program == "remote" and listed.number in SESSION_PROCEDURES
    if in_session or table.find(program, listed.number) is not None:
        return Row(listed=listed, status=Status.SUPPORTED)
    raise Unanswered(
        f"{listed.program} {listed.number} {listed.name} has no handler, and no reason in handlers/unsupported.py"
    )


def _reason_not_sent(listed: Listed, table: HandlerTable) -> str:
    refusal = table.refusal(PROGRAMS[listed.program], listed.number)
    if refusal is None:
        raise Unanswered(f"{listed.program} {listed.number} {listed.name} is not refused in handlers/foreign.py")
    if "older form" in refusal.reason or listed.program == "qemu":
        return refusal.reason
    return _NEVER_SENT


def _sent_messages() -> frozenset[int]:
    """The numbers of the messages that the event bus names."""
    words = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(ast.parse(inspect.getsource(events)))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    tables = [module for name, module in list(sys.modules.items()) if name.startswith(procedures.__name__)]
    constants = [item for table in tables for item in vars(table).items()]
    return frozenset(item.number for name, item in constants if isinstance(item, Message) and name in words)
