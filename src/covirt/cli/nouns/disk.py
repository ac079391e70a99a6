# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt disk``."""

from typing import TYPE_CHECKING

import click

from covirt.cli.nouns.common import (
    ID,
    NAME,
    SIZE,
    STORAGE_NAMES,
    Face,
    add_list,
    add_remove,
    add_show,
    lazily,
    named,
    sized,
    wait_option,
)
from covirt.cli.output import Column

if TYPE_CHECKING:
    from covirt.client.record import Record
    from covirt.client.resources import Resources


@click.group()
def disk() -> None:
    """Disks of machines, and volumes of containers."""


def _with_users(resources: "Resources", found: "list[Record]") -> "list[Record]":
    """Of each the machines that have it."""
    from covirt.client.record import Record
    from covirt.client.resources import VMS

    users: dict[str, list[str]] = {}
    for vm in resources.list(VMS, follow="diskattachments"):
        for attachment in vm.records("disk_attachments.disk_attachment"):
            users.setdefault(attachment.id, []).append(vm.name)
    return [Record({**each.values, "used_by": users.get(each.id, [])}) for each in found]


FACE = Face(
    load=lazily("DISKS"),
    columns=(
        NAME,
        named("STATUS", "status"),
        sized("SIZE", "provisioned_size"),
        sized("ON DISK", "actual_size"),
        named("FORMAT", "format"),
        Column(title="USED BY", value=lambda each: ", ".join(each.texts("used_by"))),
        Column(title="STORAGE", value=lambda each: ", ".join(
            one.name or one.id for one in each.records("storage_domains.storage_domain")), wide=True),
        named("CONTENT", "content_type", wide=True),
        ID,
    ),
    follow="storage_domains",
    prepare=_with_users,
)  # fmt: skip
add_list(disk, FACE, "disks")
add_show(disk, FACE, "a disk")
add_remove(disk, FACE, "disks that no machine runs with")


@disk.command()
@click.argument("name")
@click.argument("size", type=SIZE)
@click.option(
    "--storage",
    shell_complete=STORAGE_NAMES,
    metavar="NAME",
    help="The storage domain for it.  [default: the one that is active]",
)
@click.option("--format", "disk_format", type=click.Choice(("raw", "cow")), default="raw", show_default=True)
@click.option("--preallocated", is_flag=True, help="Take all of its size now.")
@click.option("--shareable", is_flag=True, help="Several machines may have it.")
@wait_option
def create(
    name: str, size: int, storage: str | None, disk_format: str, *, preallocated: bool, shareable: bool, wait: bool
) -> None:
    """Make a disk, as in: covirt disk create data 10GiB."""
    from covirt.cli.machines import default_storage, new_disk
    from covirt.cli.session import engine
    from covirt.cli.waiting import wait_for_disk

    with engine() as resources:
        body = new_disk(name, size, storage=default_storage(resources, storage), disk_format=disk_format)
        body |= {"sparse": str(not preallocated).lower(), "shareable": str(shareable).lower()}
        made = resources.add("disks", body)
        if wait:
            wait_for_disk(resources, made.id)
        click.echo(made.id)


@disk.command()
@click.argument("name", shell_complete=FACE.completed)
@click.argument("size", type=SIZE)
def resize(name: str, size: int) -> None:
    """Make a disk larger."""
    from covirt.cli.session import engine

    with engine() as resources:
        found = resources.find(FACE.load(), name)
        resources.api.put(f"disks/{found.id}", {"provisioned_size": size})
        click.echo(name)


@disk.command()
@click.argument("name")
@click.argument("new_name")
@click.option("--storage", metavar="NAME", help="The storage domain for the copy.  [default: the disk's own]")
@click.option(
    "--format", "disk_format", type=click.Choice(("raw", "cow")), help="Of the copy.  [default: the disk's]"
)
@wait_option
def copy(name: str, new_name: str, storage: str | None, disk_format: str | None, *, wait: bool) -> None:
    """Copy a disk that no machine runs with, as in: covirt disk copy data data-2."""
    from covirt.cli.session import engine
    from covirt.cli.waiting import wait_for_answer

    with engine() as resources:
        found = resources.find(FACE.load(), name, follow=FACE.follow)
        body = {"name": new_name, **({"format": disk_format} if disk_format else {})}
        answer = resources.act(FACE.load(), found.id, "copy", storage_domain=_target(found, storage), disk=body)
        if wait:
            wait_for_answer(resources, answer, f"copy of {name}")
        click.echo(answer.text("disk.id"))


@disk.command()
@click.argument("name")
@click.argument("storage")
@wait_option
def move(name: str, storage: str, *, wait: bool) -> None:
    """Move a disk that no machine runs with to another storage domain of its data center."""
    from covirt.cli.session import engine
    from covirt.cli.waiting import wait_for_answer

    with engine() as resources:
        found = resources.find(FACE.load(), name)
        answer = resources.act(FACE.load(), found.id, "move", storage_domain={"name": storage})
        if wait:
            wait_for_answer(resources, answer, f"move of {name}")
        click.echo(name)


def _target(disk: "Record", storage: str | None) -> dict[str, str]:
    if storage is not None:
        return {"name": storage}
    return {"id": disk.records("storage_domains.storage_domain")[0].id}
