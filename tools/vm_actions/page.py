# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``docs/engine-vm-actions.md`` as text."""

from collections.abc import Iterator
from typing import Final

from covirt.engine.model.hardware import VmKind
from covirt.engine.vms.kinds import ACTIONS
from tools.pages import Page

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


def page() -> str:
    """The whole page."""
    return _PREFACE + "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    for action in sorted({action for actions in ACTIONS.values() for action in actions}):
        words = (ACTIONS[kind][action] for kind in (VmKind.VIRTUAL_MACHINE, VmKind.CONTAINER))
        yield " | ".join([f"| `{action}`", *(f"refused: {word}" if word else "yes" for word in words)]) + " |"


PAGE: Final = Page(name="engine-vm-actions.md", module=_MODULE, text=page)
