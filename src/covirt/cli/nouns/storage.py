# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt storage``."""

import contextlib
from typing import TYPE_CHECKING

import click

from covirt.cli.nouns.common import (
    DATA_CENTER_NAMES,
    HOST_NAMES,
    ID,
    NAME,
    Face,
    add_list,
    add_show,
    lazily,
    named,
    sized,
)
from covirt.cli.output import Column

if TYPE_CHECKING:
    from covirt.client.record import Record
    from covirt.client.resources import Resources


@click.group()
def storage() -> None:
    """Storage domains."""


def _status(each: "Record") -> str:
    """It stands with the data center that it belongs to."""
    found = each.text("status") or each.text("covirt_status")
    return found or ("" if each.records("data_centers.data_center") else "unattached")


def _with_status(resources: "Resources", found: "list[Record]") -> "list[Record]":
    from covirt.client.errors import NoSuchThing
    from covirt.client.record import Record
    from covirt.client.resources import Collection

    centers = {center.id for each in found for center in each.records("data_centers.data_center")}
    known: dict[str, str] = {}
    for center_id in centers:
        below = Collection(path=f"datacenters/{center_id}/storagedomains", element="storage_domain", noun="storage")
        with contextlib.suppress(NoSuchThing):  # of a data center that he may not see
            known |= {each.id: each.text("status") for each in resources.list(below)}
    return [Record({**each.values, "status": known.get(each.id, each.text("status"))}) for each in found]


FACE = Face(
    load=lazily("STORAGE"),
    columns=(
        NAME,
        Column(title="STATUS", value=_status),
        named("TYPE", "storage.type"),
        sized("FREE", "available"),
        sized("USED", "used"),
        named("PATH", "storage.path", wide=True),
        ID,
    ),
    prepare=_with_status,
)
add_list(storage, FACE, "storage domains")
add_show(storage, FACE, "a storage domain")


@storage.command()
@click.argument("name")
@click.option("--host", "host_name", shell_complete=HOST_NAMES, required=True, metavar="HOST", help="Which makes it.")
@click.option("--path", required=True, help="A directory of that host, which belongs to user and group 36.")
@click.option(
    "--data-center",
    shell_complete=DATA_CENTER_NAMES,
    default="Default",
    show_default=True,
    help="That it is attached to, and active in.",
)
def create(name: str, host_name: str, path: str, data_center: str) -> None:
    """Make a storage domain in a directory of a host."""
    from functools import partial
    from urllib.parse import urlencode

    from covirt.cli.session import engine
    from covirt.cli.unmaking import take_back
    from covirt.client.resources import DATA_CENTERS
    from covirt.common.undo import undo_on_failure

    with engine() as resources:
        center = resources.find(DATA_CENTERS, data_center)
        storage_words = {"type": "localfs", "path": path}
        body = {"name": name, "type": "data", "storage": storage_words, "host": {"name": host_name}}
        with undo_on_failure() as undo:
            made = resources.add("storagedomains", body)
            where = f"storagedomains/{made.id}?{urlencode({'host': host_name, 'format': 'true'})}"
            undo.add("remove it", partial(take_back, resources, where, f"the storage domain {name}"))
            resources.add(f"datacenters/{center.id}/storagedomains", {"id": made.id})
        click.echo(name)


def _center_of(resources: "Resources", name: str) -> tuple[str, str]:
    """Ids of its data center (empty: none) and of itself."""
    from covirt.client.resources import STORAGE

    found = resources.find(STORAGE, name)
    centers = found.records("data_centers.data_center")
    return (centers[0].id if centers else ""), found.id


@storage.command()
@click.argument("name", shell_complete=FACE.completed)
def activate(name: str) -> None:
    """Let machines use it."""
    _act(name, "activate")


@storage.command()
@click.argument("name", shell_complete=FACE.completed)
def deactivate(name: str) -> None:
    """To maintenance: no machine uses it."""
    _act(name, "deactivate")


def _act(name: str, verb: str) -> None:
    from covirt.cli.session import engine
    from covirt.client.errors import NoSuchName

    with engine() as resources:
        center_id, domain_id = _center_of(resources, name)
        if not center_id:
            raise NoSuchName(noun="storage", name=f"{name} in a data center")
        resources.api.post(f"datacenters/{center_id}/storagedomains/{domain_id}/{verb}", {})
        click.echo(name)


@storage.command()
@click.argument("name", shell_complete=FACE.completed)
@click.option(
    "--host",
    "host_name",
    shell_complete=HOST_NAMES,
    metavar="HOST",
    help="Which removes it.  [default: any that is up]",
)
@click.option("--format", "formatted", is_flag=True, help="With all that is on disk.")
def remove(name: str, host_name: str | None, *, formatted: bool) -> None:
    """Remove a storage domain without disks; it is taken out of its data center first."""
    from urllib.parse import urlencode

    from covirt.cli.session import engine
    from covirt.client.resources import HOSTS

    with engine() as resources:
        center_id, domain_id = _center_of(resources, name)
        chosen = host_name or resources.list(HOSTS, search="status=up", maximum=1)[0].name
        if center_id:
            resources.api.post(f"datacenters/{center_id}/storagedomains/{domain_id}/deactivate", {})
            resources.api.delete(f"datacenters/{center_id}/storagedomains/{domain_id}")
        query = urlencode({"host": chosen, "format": str(formatted).lower()})
        resources.api.delete(f"storagedomains/{domain_id}?{query}")
        click.echo(name)
