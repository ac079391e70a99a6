# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``docs/host-vm-verbs.md`` as text."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from covirt.host.virt.kinds import KINDS, Kind
from covirt.hostapi.table import VERBS
from tools.pages import CannotTell, Page

_MODULE: Final = "tools.vm_verbs"
_PREFACE: Final = f"""\
# What can be done to a Vm

This page is made by `python -m {_MODULE}` out of the tables that covirt-host answers from, and a test calls every
line of it on a running virtual machine and a running container. Every Vm is of one of two kinds, by the custom
property `containerType` or the metadata that a container has; the kind never changes.

What a kind cannot do is refused with code 75, "Operation not supported", and the reason. Nothing has changed then.

| verb | virtual machine | container |
|---|---|---|
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """``refused``: the reason, by kind; no entry where it is allowed."""

    verb: str
    refused: dict[Kind, str]


def rows() -> list[Row]:
    """Of every verb on one Vm. Raises CannotTell."""
    verbs = sorted(name for name in VERBS if name.startswith("VM."))
    unknown = sorted({verb for facts in KINDS.values() for verb in facts.refused} - set(verbs))
    if unknown:
        raise CannotTell(f"kinds.py refuses {', '.join(unknown)}, which hostapi does not have")
    return [
        Row(verb=verb, refused={kind: facts.refused[verb] for kind, facts in KINDS.items() if verb in facts.refused})
        for verb in verbs
    ]


def page() -> str:
    """The whole page."""
    return _PREFACE + "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    for row in rows():
        words = (row.refused.get(kind) for kind in (Kind.MACHINE, Kind.CONTAINER))
        yield " | ".join([f"| `{row.verb}`", *(f"refused: {word}" if word else "yes" for word in words)]) + " |"


PAGE: Final = Page(name="host-vm-verbs.md", module=_MODULE, text=page)
