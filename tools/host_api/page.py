# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``docs/host-api.md`` as text."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, Final, get_origin

from covirt.hostapi.errors import TEXTS, Code
from covirt.hostapi.statuses import EXIT_MESSAGES, ExitReason, PauseCode, VmStatus
from covirt.hostapi.table import VERBS
from covirt.hostapi.verb import Verb
from tools.pages import Page

_MODULE: Final = "tools.host_api"
_PREFACE: Final = f"""\
# The verbs of covirt-host

This page is made by `python -m {_MODULE}` out of `src/covirt/hostapi`.

covirt-host speaks Vdsm's protocol: JSON-RPC 2.0 in STOMP 1.2 frames over TLS with certificates on both sides, port
54321. Requests are sent to `jms.topic.vdsm_requests`, answers come to the destination that the header `reply-to`
names, events to `jms.queue.events`. Verbs, parameters, answers, statuses and codes are Vdsm's, so that its clients
work unchanged. What Vdsm does not have is a named extension; a client finds the names of those that a host has in
`Host.getCapabilities` under `covirtExtensions`. A verb that a host does not have is refused with -32601, and
parameters that it does not know are ignored.

*Quick* verbs wait for nothing slow, and a busy host answers them as soon as an idle one. Until a host that was
started has found its guests again, it refuses all verbs with 99.
"""


def page() -> str:
    """The whole page."""
    objects: dict[str, Mapping[str, Any]] = {}
    by_noun = groupby(sorted(VERBS.values(), key=_order), key=lambda verb: verb.name.partition(".")[0])
    nouns = [_noun(noun, verbs, objects) for noun, verbs in by_noun]
    sections = [_PREFACE, *nouns, _objects(objects), _statuses(), _codes()]
    return "\n".join(filter(None, sections))


def _order(verb: Verb) -> tuple[str, str]:
    noun, _, rest = verb.name.partition(".")
    return noun, rest


def _noun(noun: str, verbs: Iterable[Verb], objects: dict[str, Mapping[str, Any]]) -> str:
    return "\n".join((f"## {noun}", "", *(_verb(verb, objects) for verb in verbs)))


def _verb(verb: Verb, objects: dict[str, Mapping[str, Any]]) -> str:
    schema = verb.params.model_json_schema(by_alias=True)
    objects.update(schema.get("$defs", {}))
    tail = [f"Answers {_result(verb.result)}.", *(["*Quick.*"] if verb.quick else [])]
    if verb.extension:
        tail.append(f"Extension `{verb.extension}`.")
    lines = [f"### {verb.name}", "", f"{verb.summary} {' '.join(tail)}", "", *_members(schema)]
    return "\n".join(lines)


def _members(schema: Mapping[str, Any]) -> list[str]:
    members = schema.get("properties", {})
    if not members:
        return []
    needed = schema.get("required", ())
    rows = (f"| `{name}` | {_type(each)} | {'yes' if name in needed else 'no'} |" for name, each in members.items())
    return ["| parameter | type | needed |", "|---|---|---|", *rows, ""]


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[several])))
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list, each item {_type(schema.get('items', {}))}"
    return str(schema.get("type", "anything"))


def _result(result: object) -> str:
    if result is bool:
        return "true"
    names: dict[object, str] = {dict: "an object", list: "a list", str: "a string", int: "a number"}
    found = get_origin(result) or result
    return names.get(found, "an object")


def _objects(objects: Mapping[str, Mapping[str, Any]]) -> str:
    lines = ["## Objects in parameters", ""] if objects else []
    for name, schema in sorted(objects.items()):
        meaning = " ".join(str(schema.get("description", "")).split()).replace("``", "`")
        lines += [f"### {name}", "", *([meaning, ""] if meaning else [])]
        lines += _members(schema) or [f"{_type(schema)}", ""]
    return "\n".join(lines)


def _statuses() -> str:
    rows = (f"| {reason.value} | {EXIT_MESSAGES[reason]} |" for reason in ExitReason)
    return "\n".join(
        (
            "## Statuses and ends",
            "",
            f"A machine's `status` is one of {_quoted(VmStatus)}.",
            f"Its `pauseCode` is one of {_quoted(PauseCode)}.",
            "When it is `Down`, `exitCode` is 0 (as wanted) or 1 (not), and `exitReason` is a number with a text,",
            "`exitMessage`, which for a container tells its exit code or signal:",
            "",
            "| exitReason | exitMessage |",
            "|---|---|",
            *rows,
            "",
        )
    )


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _codes() -> str:
    rows = (f"| {code.value} | {code.name.lower().replace('_', ' ')} | {TEXTS.get(code, '')} |" for code in Code)
    head = ("## Codes of refusals", "", "| code | meaning | text before the reason |", "|---|---|---|")
    return "\n".join((*head, *rows, ""))


PAGE: Final = Page(name="host-api.md", module=_MODULE, text=page)
