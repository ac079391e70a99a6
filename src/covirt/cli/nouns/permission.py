# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt permission``: who has which role on what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import click

from covirt.cli.completing import names_of
from covirt.cli.nouns.common import ID, lazily, named
from covirt.cli.nouns.machines import CONTAINER, VM, names_of_kind
from covirt.cli.nouns.user import FACE, login_name
from covirt.cli.output import output_option, tell_list

if TYPE_CHECKING:
    from covirt.client.record import Record
    from covirt.client.resources import Collection, Resources


@click.group()
def permission() -> None:
    """Who has which role on what."""


# An option of a place, and the name of its collection.
_PLACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "vm": "VMS", "container": "VMS", "disk": "DISKS", "template": "TEMPLATES", "network": "NETWORKS",
        "host": "HOSTS", "cluster": "CLUSTERS", "storage": "STORAGE", "data_center": "DATA_CENTERS",
    }
)  # fmt: skip
# What a permission calls its object, and the collection that knows the name.
_OBJECTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "vm": "VMS", "disk": "DISKS", "template": "TEMPLATES", "network": "NETWORKS", "vnic_profile": "PROFILES",
        "host": "HOSTS", "cluster": "CLUSTERS", "storage_domain": "STORAGE", "data_center": "DATA_CENTERS",
    }
)  # fmt: skip
_SYSTEM: Final = "permissions"
_COLUMNS: Final = (named("WHO", "who"), named("ROLE", "role.name"), named("ON", "on"), ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """``path`` of the permissions of a place; ``holder``: user or group, as ``id``; both may be empty."""

    path: str = ""
    place: str = ""
    holder: str = ""
    id: str = ""
    who: str = ""


def _who_and_where(function: Callable[..., Any]) -> Callable[..., Any]:
    for place in reversed(list(_PLACES)):
        option = f"--{place.replace('_', '-')}"
        help_ = f"On this {place.replace('_', ' ')}."
        complete = names_of_kind(place) if place in (CONTAINER, VM) else names_of(lazily(_PLACES[place]))
        function = click.option(option, place, metavar="NAME", shell_complete=complete, help=help_)(function)
    function = click.option("--system", is_flag=True, help="On everything.")(function)
    function = click.option(
        "--group", metavar="NAME", shell_complete=names_of(lazily("GROUPS")), help="Of this group, such as Everyone."
    )(function)
    return click.option(
        "--user", metavar="NAME", shell_complete=FACE.completed, help="Of this user, as in ann@internal."
    )(function)


@permission.command()
@click.argument("role", shell_complete=names_of(lazily("ROLES")))
@_who_and_where
def add(role: str, **asked: Any) -> None:
    """Give somebody a role, as in: covirt permission add UserVmManager --user ann --vm web.

    It counts for what lies in the object, too: one on a cluster for its machines.
    """
    from covirt.cli.session import engine

    with engine() as resources:
        found = _complete(resources, asked)
        resources.add(found.path, {"role": {"name": role}, found.holder: {"id": found.id}})
        click.echo(f"{found.who} has {role} on {found.place}")


@permission.command()
@click.argument("role", shell_complete=names_of(lazily("ROLES")))
@_who_and_where
def remove(role: str, **asked: Any) -> None:
    """Take a role away from somebody, as in: covirt permission remove UserVmManager --user ann --vm web."""
    from covirt.cli.errors import HasNoRole
    from covirt.cli.session import engine

    with engine() as resources:
        found = _complete(resources, asked)
        for each in resources.list(_permissions(found.path), follow="role"):
            if each.text("role.name") == role and each.text(f"{found.holder}.id") == found.id:
                resources.api.delete(f"{found.path}/{each.id}")
                break
        else:
            raise HasNoRole(who=found.who, role=role, place=found.place)
        click.echo(f"{found.who} has {role} on {found.place} no more")


@permission.command("list")
@_who_and_where
@output_option
def listing(output: str, **asked: Any) -> None:
    """List who has which role: on one object, of one user or group, or on everything."""
    from covirt.cli.session import engine

    with engine() as resources:
        wanted = _asked(resources, asked)
        path = wanted.path or (f"{wanted.holder}s/{wanted.id}/permissions" if wanted.id else _SYSTEM)
        found = [
            each
            for each in resources.list(_permissions(path), follow="role,user,group")
            if not wanted.id or each.text(f"{wanted.holder}.id") == wanted.id
        ]
        told = _with_names(resources, found, wanted.place)
    tell_list(told, _COLUMNS, output)


def _complete(resources: "Resources", asked: Mapping[str, Any]) -> _Asked:
    """One place and one holder. Raises UsageError."""
    found = _asked(resources, asked)
    if not found.path:
        raise click.UsageError("say on what: --system, or an object such as --vm NAME")
    if not found.id:
        raise click.UsageError("say who: --user NAME or --group NAME")
    return found


def _asked(resources: "Resources", asked: Mapping[str, Any]) -> _Asked:
    """Raises UsageError, NoSuchName."""
    places = [(place, name) for place, name in asked.items() if place in _PLACES and name is not None]
    if len(places) + asked["system"] > 1 or (asked["user"] and asked["group"]):
        raise click.UsageError("one object and one user or group at a time")
    place = _place(resources, *places[0]) if places else {}
    if asked["system"]:
        place = {"path": _SYSTEM, "place": "everything"}
    return _Asked(**_holder(resources, asked), **place)


def _place(resources: "Resources", place: str, name: str) -> dict[str, str]:
    """Raises NoSuchName."""
    from covirt.client.errors import NoSuchName

    collection = lazily(_PLACES[place])()
    try:
        found = resources.find(collection, name)
    except NoSuchName as error:
        raise NoSuchName(noun=place.replace("_", " "), name=name) from error
    return {"path": f"{collection.path}/{found.id}/permissions", "place": found.name}


def _holder(resources: "Resources", asked: Mapping[str, Any]) -> dict[str, str]:
    """Raises NoSuchName."""
    from covirt.client.resources import GROUPS

    if asked["user"]:
        found = FACE.find(resources, asked["user"])
        return {"holder": "user", "id": found.id, "who": login_name(found)}
    if asked["group"]:
        found = resources.find(GROUPS, asked["group"])
        return {"holder": "group", "id": found.id, "who": found.name}
    return {}


def _with_names(resources: "Resources", found: "list[Record]", place: str) -> "list[Record]":
    """Of whoever has them, and of the objects: those are named by their ids. oVirt's permissions do not tell networks
    and secrets; ``place``: where all of them are, if it was said."""
    from covirt.client.record import Record

    kinds = {kind for each in found for kind in _OBJECTS if each.text(f"{kind}.id")}
    names = {(kind, each.id): each.name for kind in kinds for each in resources.list(lazily(_OBJECTS[kind])())}
    on_system = set() if place else {each.id for each in resources.list(_permissions(_SYSTEM))}
    told = []
    for each in found:
        kind = next((kind for kind in _OBJECTS if each.text(f"{kind}.id")), "")
        object_id = each.text(f"{kind}.id")
        if kind:
            on = f"{kind.replace('_', ' ')} {names.get((kind, object_id), object_id)}"
        else:
            on = place or ("everything" if each.id in on_system else "something else")
        who = login_name(Record(each.values["user"])) if each.text("user.id") else f"group {each.text('group.name')}"
        told.append(Record({**each.values, "who": who, "on": on}))
    return told


def _permissions(path: str) -> "Collection":
    from covirt.client.resources import Collection

    return Collection(path=path, element="permission", noun="permission", searched=False)
