# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``docs/engine-vm-actions.md`` as text."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from covirt.engine.model.hardware import VmKind
from covirt.engine.vms.kinds import ACTIONS, STREAMS
from tools.pages import Page

Name = TypeVar("Name", bound=str)

_MODULE: Final = "tools.vm_actions"
_PREFACE: Final = f"""\
# What can be done to a machine

This page is made by `python -m {_MODULE}` out of the table that covirt-engine answers from, and a test calls every
line of it on a machine of each kind. A machine's kind is chosen when it is added, by the custom property
`containerType`, and never changes: not by an edit, and not by a template, which makes machines of its own kind only.

What a kind has is among the object's `actions`. What it has not is absent there, and `POST /vms/ID/ACTION` is refused
with status 409 and the reason. Nothing has changed then.

| action | virtual machine | container |
|---|---|---|
"""


_STREAMS: Final = """\

## What can be seen of it

By a ticket from `POST /covirt/vms/ID/streams`, see [Displays, consoles, commands and logs](engine-consoles.md). What
a kind has not is refused with 409, too.

| stream | virtual machine | container |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    lines = [*_lines(ACTIONS), None, *_lines(STREAMS)]
    return _PREFACE + "".join(_STREAMS if line is None else f"{line}\n" for line in lines)


def _lines(table: Mapping[VmKind, Mapping[Name, str]]) -> Iterator[str]:
    for name in sorted({name for names in table.values() for name in names}):
        words = (table[kind][name] for kind in (VmKind.VIRTUAL_MACHINE, VmKind.CONTAINER))
        yield " | ".join([f"| `{name}`", *(f"refused: {word}" if word else "yes" for word in words)]) + " |"


PAGE: Final = Page(name="engine-vm-actions.md", module=_MODULE, text=page)
