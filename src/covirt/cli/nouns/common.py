# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What most nouns have: list, show, remove."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from covirt.cli.completing import Complete, names_of
from covirt.cli.output import Column, filter_option, output_option, tell_list, tell_one

if TYPE_CHECKING:
    from covirt.client.record import Record
    from covirt.client.resources import Collection, Resources

Load = Callable[[], "Collection"]  # imported when it is needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """How a noun is told. ``follow``: what its columns look at beside the object; ``prepare`` may replace objects by
    what columns need, once for all of them. ``check`` raises for one that is none of these. ``noun``: the command
    line's, where its collection has several; ``spelled``: a name as the engine has it, of what people type, and
    ``name`` what they type."""

    load: Load
    columns: Sequence[Column]
    follow: str = ""
    search: str = ""
    maximum: int = 0
    noun: str = ""
    spelled: Callable[[str], str] = str
    name: "Callable[[Record], str] | None" = None
    prepare: "Callable[[Resources, list[Record]], list[Record]]" = lambda _resources, found: found
    check: "Callable[[str, Record], object]" = lambda _name, _found: None

    def listed(self, resources: "Resources", search: str = "") -> "list[Record]":
        wanted = " and ".join(filter(None, (self.search, search)))
        found = resources.list(self.load(), search=wanted, follow=self.follow, maximum=self.maximum)
        return self.prepare(resources, found)

    def found(self, resources: "Resources", name: str) -> "Record":
        """With all that columns need."""
        return self.prepare(resources, [self.find(resources, name, follow=self.follow)])[0]

    @property
    def completed(self) -> Complete:
        return names_of(self.load, search=self.search, name=self.name)

    def find(self, resources: "Resources", name: str, *, follow: str = "") -> "Record":
        from covirt.client.errors import NoSuchName

        collection = self.load()
        for spelling in dict.fromkeys((name, self.spelled(name))):
            try:
                found = resources.find(collection, spelling, follow=follow)
            except NoSuchName:
                continue
            self.check(name, found)
            return found
        raise NoSuchName(noun=self.noun or collection.noun, name=name)


class SizeType(click.ParamType[int]):
    """In bytes; what is none is told with the option's name."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises BadOption."""
        from covirt.cli.machines import parsed_size

        del ctx
        if isinstance(value, int):
            return value
        name = param.opts[0] if param is not None else ""
        return parsed_size(name if name.startswith("-") else name.upper(), str(value))


SIZE: Final = SizeType()


def wait_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--wait/--no-wait",
        default=True,
        show_default=True,
        help="Return when it is done, or as soon as it has begun.",
    )(function)


def add_list(group: click.Group, face: Face, what: str, *, searched: bool = True) -> None:
    """``searched``: whether the engine's search language knows these."""

    @group.command("list", help=f"List {what}.")
    @filter_option
    @_search_option(offered=searched)
    @click.option("--quiet", "-q", is_flag=True, help="Ids only.")
    @output_option
    def listing(filters: tuple[str, ...], output: str, *, quiet: bool, search: str = "") -> None:
        from covirt.cli.output import filtered
        from covirt.cli.session import engine

        with engine() as resources:
            found = face.listed(resources, search)
        if quiet:
            for each in filtered(found, face.columns, filters):
                click.echo(each.id)
        else:
            tell_list(found, face.columns, output, filters)


def _search_option(*, offered: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    if not offered:
        return lambda function: function
    return click.option(
        "--search", default="", metavar="QUERY", help="In oVirt's search language, as in 'status = up'."
    )


def add_show(group: click.Group, face: Face, what: str) -> None:
    @group.command("show", help=f"Show {what}, by name or id.")
    @click.argument("name", shell_complete=face.completed)
    @output_option
    def show(name: str, output: str) -> None:
        from covirt.cli.session import engine

        with engine() as resources:
            tell_one(face.found(resources, name), face.columns, output)


def add_remove(group: click.Group, face: Face, what: str) -> None:
    @group.command("remove", help=f"Remove {what}, by name or id.")
    @click.argument("names", nargs=-1, required=True, shell_complete=face.completed)
    def remove(names: tuple[str, ...]) -> None:
        from covirt.cli.session import engine

        with engine() as resources:
            for name in names:
                found = face.find(resources, name)
                resources.api.delete(f"{face.load().path}/{found.id}")
                click.echo(name)


def named(title: str, path: str, *, wide: bool = False, cut: bool = False) -> Column:
    """A column of what stands in the object."""
    return Column(title=title, value=lambda each: each.text(path), wide=wide, cut=cut)


def sized(title: str, path: str, *, wide: bool = False) -> Column:
    """In bytes there."""

    def value(each: "Record") -> str:
        from covirt.common.units import readable_size

        return readable_size(each.whole(path)) if each.text(path) else ""

    return Column(title=title, value=value, wide=wide)


ID = named("ID", "id", wide=True)
NAME = named("NAME", "name")


def lazily(name: str) -> Load:
    """A collection of covirt.client.resources."""

    def load() -> Any:
        from covirt.client import resources

        return getattr(resources, name)

    return load


# For options that name an object of another kind.
CLUSTER_NAMES: Final = names_of(lazily("CLUSTERS"))
DATA_CENTER_NAMES: Final = names_of(lazily("DATA_CENTERS"))
DISK_NAMES: Final = names_of(lazily("DISKS"))
HOST_NAMES: Final = names_of(lazily("HOSTS"))
NETWORK_NAMES: Final = names_of(lazily("NETWORKS"))
SECRET_NAMES: Final = names_of(lazily("SECRETS"))
STORAGE_NAMES: Final = names_of(lazily("STORAGE"))
TEMPLATE_NAMES: Final = names_of(lazily("TEMPLATES"))
