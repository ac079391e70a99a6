# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``docs/conformance.md`` as text."""

from collections.abc import Iterable
from typing import Final

from tools.conformance.table import Row, conformance
from tools.pages import Page

_MODULE: Final = "tools.conformance"

_PREFACE: Final = f"""\
# Conformance: what virtocid answers to libvirt's procedures

This page is made by `python -m {_MODULE}` out of the tables the daemon answers from, and a test asks the
running daemon for every line of it. The list is that of libvirt 9.0.0's protocol; later releases only add to it.

- **supported**: answered. What a call may ask for in its flags and XML is in [domain-xml.md](domain-xml.md); what it
  asks for and a container cannot do is refused with the reason.
- **sent**: an event of the daemon's. Clients may register for every event there is; those that cannot happen to a
  container never come.
- **refused**: about a domain, and nothing a container can do. Clients get libvirt's error 3 (`VIR_ERR_NO_SUPPORT`)
  with the reason.
- **not applicable**: not about containers at all. A call is answered like one that is refused.
"""
_SECTIONS: Final = {
    "remote": "libvirt's own program (0x20008086)",
    "qemu": "The program of libvirt-qemu (0x20008087)",
    "lxc": "The program of libvirt-lxc (0x00068000)",
}


def page() -> str:
    """The whole page."""
    rows = conformance()
    parts = [_PREFACE]
    for program, title in _SECTIONS.items():
        parts.append(_section(title, (row for row in rows if row.listed.program == program)))
    return "\n".join(parts)


def _section(title: str, rows: Iterable[Row]) -> str:
    lines = [f"## {title}", "", "| | procedure | function | answer |", "|---|---|---|---|", *map(_line, rows), ""]
    return "\n".join(lines)


def _line(row: Row) -> str:
    listed = row.listed
    answer = f"{row.status}: {row.reason}" if row.reason else str(row.status)
    function = f"`{listed.function}`" if listed.function else ""
    return f"| {listed.number} | `{listed.name}` | {function} | {answer} |"


PAGE: Final = Page(name="conformance.md", module=_MODULE, text=page)
