# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.api_table``: write the table of oVirt's types, tags, enumerations and services anew.

It is read out of the installed SDK's generated readers, writers and services, by their syntax trees: nothing of it
runs. ``--check`` only tells whether the table is what the installed SDK says.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

TABLE: Final = Path(__file__).resolve().parents[1] / "src/covirt/engine/api/codec/table.json"

Functions = dict[str, dict[str, ast.FunctionDef]]


def table() -> dict[str, Any]:
    """The table, as it is written to the file."""
    readers, writers, services = (_parsed(name) for name in ("readers", "writers", "services"))
    tags = dict(sorted(_tags(readers)))
    return {
        "enums": _enums(_parsed("types")),
        "tags": tags,
        "types": _types(_functions(readers, "Reader"), _functions(writers, "Writer"), tags),
        "services": _services(services),
    }


def _parsed(name: str) -> ast.Module:
    spec = find_spec("ovirtsdk4")
    assert spec is not None
    assert spec.submodule_search_locations
    return ast.parse((Path(spec.submodule_search_locations[0]) / f"{name}.py").read_text())


def _classes(module: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in module.body if isinstance(node, ast.ClassDef))


def _functions(module: ast.Module, suffix: str) -> Functions:
    """Type name -> function name -> its tree."""
    return {
        each.name.removesuffix(suffix): {node.name: node for node in each.body if isinstance(node, ast.FunctionDef)}
        for each in _classes(module)
    }


def _enums(module: ast.Module) -> dict[str, list[str]]:
    found = {}
    for each in _classes(module):
        if any(isinstance(base, ast.Name) and base.id == "Enum" for base in each.bases):
            values = [ast.literal_eval(node.value) for node in each.body if isinstance(node, ast.Assign)]
            found[each.name] = sorted(values)
    return dict(sorted(found.items()))


def _tags(readers: ast.Module) -> Iterator[tuple[str, str]]:
    """Root tag -> type, with a star for a list of it."""
    for node in readers.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            tag, reader = (ast.unparse(argument) for argument in node.value.args)
            name, method = reader.split("Reader.")
            yield ast.literal_eval(tag), name + ("*" if method == "read_many" else "")


def _types(readers: Functions, writers: Functions, tags: dict[str, str]) -> dict[str, Any]:
    singular = {name: tag for tag, name in tags.items() if not name.endswith("*")}
    plural = {name[:-1]: tag for tag, name in tags.items() if name.endswith("*")}
    found = {}
    for name, functions in sorted(readers.items()):
        if "read_one" not in functions or name not in singular:
            continue
        items = _items(writers[name]["write_one"])
        fields = dict(sorted(_fields(functions["read_one"], items, singular)))
        links = dict(sorted(_links(functions))) if "_process_link" in functions else {}
        found[name] = {"tag": singular[name], "plural": plural[name], "fields": fields, "links": links}
    return found


def _items(write_one: ast.FunctionDef) -> dict[str, str]:
    """Wrapper tag -> the tag of what is in it, as the SDK writes them."""
    text = ast.unparse(write_one)
    many = re.findall(r"write_many\(obj\.\w+, writer, '(\w+)', '(\w+)'\)", text)
    plain = re.findall(r"write_start\('(\w+)'\)\s+for item in .*\s+if .*\s+Writer\.\w+\(writer, '(\w+)'", text)
    return {wrapper: item for item, wrapper in many} | dict(plain)


def _fields(read_one: ast.FunctionDef, items: dict[str, str], singular: dict[str, str]) -> Iterator[tuple[str, str]]:
    """``name: type``; a list is ``item tag*type``; an enumeration is ``enum Name``."""
    for tag, call in re.findall(r"tag == '(\w+)':\s+obj\.\w+ = (.*)", ast.unparse(read_one)):
        if match := re.fullmatch(r"(\w+)Reader\.read_(one|many)\(reader\)", call):
            name, count = match.groups()
            yield tag, name if count == "one" else f"{items.get(tag, singular[name])}*{name}"
        elif match := re.fullmatch(r"Reader\.read_enum(s?)\(types\.(\w+), reader\)", call):
            many, name = match.groups()
            yield tag, f"{items[tag]}*enum {name}" if many else f"enum {name}"
        else:
            match = re.fullmatch(r"Reader\.read_(string|integer|decimal|boolean|date)(s?)\(reader\)", call)
            assert match, call
            name, many = match.groups()
            yield tag, f"{items[tag]}*{name}" if many else name


def _links(functions: dict[str, ast.FunctionDef]) -> Iterator[tuple[str, str]]:
    """The ``rel`` of a link -> the tag of the field it stands for, which is not always the SDK's attribute."""
    tags = re.findall(r"tag == '(\w+)':\s+obj\.(\w+) = ", ast.unparse(functions["read_one"]))
    named = {attribute: tag for tag, attribute in tags}
    for rel, attribute in re.findall(r"rel == '([\w/]+)':\s+if obj\.(\w+) ", ast.unparse(functions["_process_link"])):
        yield rel, named[attribute]


def _services(module: ast.Module) -> dict[str, Any]:
    found = {}
    for each in _classes(module):
        methods: dict[str, list[str]] = {}
        children, actions = {}, {}
        for node in (node for node in each.body if isinstance(node, ast.FunctionDef)):
            body = ast.unparse(node)
            if match := re.search(r"return (\w+)Service\(self\._connection, '%s/(%s|\w+)' % ", body):
                children["*" if match[2] == "%s" else match[2]] = match[1]
            elif match := re.search(r"_internal_action\(action, '(\w+)', (?:'(\w+)'|None)", body):
                actions[match[1]] = match[2]
            elif match := re.search(r"_internal_(get|add|update|remove)\(", body):
                methods[match[1]] = sorted({*methods.get(match[1], []), *_parameters(body)})
        found[each.name.removesuffix("Service")] = {
            "base": ast.unparse(each.bases[0]).removesuffix("Service"),
            "methods": methods,
            "actions": dict(sorted(actions.items())),
            "children": dict(sorted(children.items())),
        }
    return dict(sorted(found.items()))


def _parameters(body: str) -> list[str]:
    """Those of a method that go into the query, each with its type."""
    rendered = dict(re.findall(r"(\w+) = Writer\.render_(\w+)\(", body))
    return [
        f"{name}: {rendered.get(local, 'string')}" for name, local in re.findall(r"query\['(\w+)'\] = (\w+)", body)
    ]


def text() -> str:
    """The file's text: one type, tag or service a line, so that a change of the SDK shows as such."""
    parts = []
    for section, entries in table().items():
        lines = (f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
        parts.append(f' "{section}": {{\n' + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> int:
    """The command."""
    if "--check" in sys.argv[1:]:
        true = TABLE.read_text() == text()
        print("" if true else "the table is not what the SDK says; run .venv/bin/python -m tools.api_table")
        return 0 if true else 1
    TABLE.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
