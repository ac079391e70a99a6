# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The API's OpenAPI description, made of the registry and the table: it cannot say what the API does not do."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from covirt.engine.api.codec.json_writer import is_long
from covirt.engine.api.codec.table import ENUMS, TYPES, ApiType, Field, Kind
from covirt.engine.api.registry import Collection, Registry
from covirt.engine.api.services import API_PATH, ProductVersion

Schema = dict[str, Any]

_PLAIN: Final[Mapping[Kind, Schema]] = {
    Kind.STRING: {"type": "string"},
    Kind.INTEGER: {"type": "string", "pattern": "^-?[0-9]+$"},
    Kind.DECIMAL: {"type": "number"},
    Kind.BOOLEAN: {"type": "string", "enum": ["true", "false"]},
    Kind.DATE: {"type": "integer", "description": "milliseconds since 1970"},
}
_LINKS: Final[Schema] = {
    "type": "array",
    "items": {"type": "object", "properties": {"rel": {"type": "string"}, "href": {"type": "string"}}},
}


def description(registry: Registry, version: ProductVersion) -> Schema:
    """An OpenAPI 3.1 document of all that the API answers now. Its schemas are those of JSON."""
    used: set[str] = {"Fault", "Api", "Action"}
    paths: Schema = {"/": {"get": _operation("api", _one("Api"), [_FOLLOW])}}
    for above, collection in registry.walk():
        used.add(collection.type)
        paths.update(_paths(above, collection))
    return {
        "openapi": "3.1.0",
        "info": {"title": "covirt-engine: oVirt's REST API, version 4", "version": version.full},
        "servers": [{"url": API_PATH}],
        "security": [{"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
            "schemas": {name: _schema(TYPES[name]) for name in sorted(_reachable(used))},
        },
    }


def _parameter(name: str, schema: Schema, about: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": about}


_FOLLOW: Final = _parameter("follow", {"type": "string"}, "links to follow: nics.vnic_profile,host")
_FILTER: Final = _parameter("filter", {"type": "boolean"}, "only what the user's own permissions let be seen")
_MAX: Final = _parameter("max", {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, "how many at most")
_SEARCH: Final = _parameter("search", {"type": "string"}, "in oVirt's search language")
_CASE: Final = _parameter("case_sensitive", {"type": "boolean"}, "whether case matters in the search")


def _paths(above: tuple[Collection, ...], collection: Collection) -> Iterator[tuple[str, Schema]]:
    base, ids = "", []
    for number, each in enumerate((*above, collection)):
        base += f"/{each.path}"
        if each is not collection or number < len(above):
            ids.append(_id(each, f"{TYPES[each.type].tag}_{number}"))
            base += f"/{{{ids[-1]['name']}}}"
    name = ".".join(each.path for each in (*above, collection))
    search = [_SEARCH, _CASE] if collection.searchable else []
    yield (
        base,
        _item(
            ids,
            {"get": _operation(f"{name}.list", _many(collection), [_MAX, _FOLLOW, _FILTER, *search])}
            | ({"post": _change(f"{name}.add", collection.type)} if collection.add or collection.refused_add else {}),
        ),
    )
    if not collection.members:
        return
    own = _id(collection, TYPES[collection.type].tag)
    member: Schema = {"get": _operation(f"{name}.get", _one(collection.type), [_FOLLOW, _FILTER])}
    if collection.update:
        member["put"] = _change(f"{name}.update", collection.type)
    if collection.remove:
        member["delete"] = _operation(f"{name}.remove", None, [])
    yield f"{base}/{{{own['name']}}}", _item([*ids, own], member)
    for action in (*collection.actions, *collection.refused_actions):
        yield (
            f"{base}/{{{own['name']}}}/{action}",
            _item([*ids, own], {"post": _change(f"{name}.{action}", "Action")}),
        )


def _id(collection: Collection, name: str) -> Schema:
    text = {"type": "string", "format": "uuid"} if collection.uuids else {"type": "string", "minLength": 1}
    return {"name": f"{name}_id", "in": "path", "required": True, "schema": text}


def _item(ids: list[Schema], operations: Schema) -> Schema:
    return {"parameters": ids, **operations} if ids else operations


def _one(kind: str) -> Schema:
    return {"$ref": f"#/components/schemas/{kind}"}


def _many(collection: Collection) -> Schema:
    tag = TYPES[collection.type].tag
    return {"type": "object", "properties": {tag: {"type": "array", "items": _one(collection.type)}}}


def _operation(name: str, answer: Schema | None, parameters: list[Schema]) -> Schema:
    done: Schema = {"description": "done"}
    if answer is not None:
        done["content"] = {"application/json": {"schema": answer}, "application/xml": {}}
    fault = {
        "description": "refused, and why",
        "content": {"application/json": {"schema": _one("Fault")}, "application/xml": {}},
    }
    return {"operationId": name, "parameters": parameters, "responses": {"2XX": done, "4XX": fault, "5XX": fault}}


def _change(name: str, kind: str) -> Schema:
    body = {"content": {"application/json": {"schema": _one(kind)}, "application/xml": {}}}
    return {**_operation(name, _one(kind), []), "requestBody": body}


def _reachable(names: set[str]) -> set[str]:
    found: set[str] = set()
    pending = sorted(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [field.type for field in TYPES[name].fields.values() if field.kind is Kind.OBJECT]
    return found


def _schema(kind: ApiType) -> Schema:
    properties = {name: _field(field) for name, field in kind.fields.items()}
    own: Schema = {
        "id": {"type": "string"},
        "href": {"type": "string"},
        "link": _LINKS,
        "actions": {"type": "object", "properties": {"link": _LINKS}},
    }
    return {"type": "object", "properties": {**own, **properties}, "additionalProperties": False}


def _field(field: Field) -> Schema:
    if field.kind is Kind.OBJECT:
        one = _one(field.type)
    elif field.kind is Kind.ENUM:
        one = {"type": "string", "enum": sorted(ENUMS[field.type])}
    elif field.kind is Kind.INTEGER and is_long(field):
        one = {"type": "integer"}
    else:
        one = dict(_PLAIN[field.kind])
    if field.item is None:
        return one
    return {"type": "object", "properties": {field.item: {"type": "array", "items": one}}}
