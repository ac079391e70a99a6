# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``docs/rest-api.md`` as text."""

from typing import Final

from tools.pages import Page
from tools.rest_api.table import Row, absent, rows

_MODULE: Final = "tools.rest_api"

_PREFACE: Final = f"""\
# The REST API: what of oVirt's version 4 covirt-engine answers

This page is made by `python -m {_MODULE}` out of the registry that the engine answers from, beside what oVirt's
Python SDK 4.6 knows. The engine itself tells the same, with every field, as an OpenAPI 3.1 document:
`GET /ovirt-engine/api/openapi`.

## Asking

- XML and JSON, by `Accept`; XML where a client has no wish. In JSON, as oVirt has it, booleans and 32-bit integers
  are strings, sizes are numbers, and dates are milliseconds since 1970. In requests, both forms count.
- Parameters come in the query or in the path's matrix (`/vms;max=5`); `filter` and `all_content` also as the headers
  `Filter` and `All-Content`. A parameter without a value is true.
- `search` is oVirt's language. What is not understood is refused with 400; it never finds "all". Case does not
  matter, unless `case_sensitive` is true. `page N` in a search needs `max`, or pages have 100 objects. A page
  behind the last one is empty.
- `follow=nics.vnic_profile,host` puts objects where links would be. It costs as much for a hundred objects as for
  one. What is no link is refused, and the refusal says which links there are.
- Users without an administrator's role ask with `filter=true`, and see what their permissions let them see.
- `Correlation-Id` (or the parameter `correlation_id`) comes back, and stands in the log, on jobs and on events.
- `/ovirt-engine/api` and `/ovirt-engine/api/v4` are the same; a `Version` header other than 4 is refused.

## What differs from oVirt, and why

- An unknown word of an enumeration in a request is refused with 400. oVirt's SDK would read it as nothing.
- A DOCTYPE in a request is refused, and entities are never expanded.
- 404 has a fault as its body; in oVirt it is mostly empty.
- `custom_properties` never have `regexp`: Ansible would see a difference on each run.
- A machine's `initialization` is told without its password and its script.
- What covirt has not (Gluster, OpenStack, Katello, import from other systems) is listed as empty, so that clients who
  look find nothing; adding to it is refused with 400.
- No answer is a redirect, none has the status 204, and each has its content type. A request that runs into a bug is
  answered with 500 and an incident's id, which finds the reason in the log: a connection that only closed would make
  clients send the request again.

## Paths

"Not yet": oVirt answers it, and covirt does not: 405, or 404 for an action.
"""


def page() -> str:
    """The whole page."""
    table = ["| path | answered | refused, with the reason | not yet |", "|---|---|---|---|", *map(_line, rows())]
    missing = [
        "",
        "Of oVirt's other paths, these are not there (404):",
        "",
        ", ".join(f"`{each}`" for each in absent()),
    ]
    return "\n".join([_PREFACE, *table, *missing, ""])


def _line(row: Row) -> str:
    answered = ", ".join(row.answered) + (" (always empty)" if row.always_empty else "")
    return f"| `{row.path}` | {answered} | {', '.join(row.refused)} | {', '.join(row.missing)} |"


PAGE: Final = Page(name="rest-api.md", module=_MODULE, text=page)
