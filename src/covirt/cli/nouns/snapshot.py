# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt snapshot``: of a virtual machine, by its description or its id."""

from typing import TYPE_CHECKING, Any

import click

from covirt.cli.nouns.common import ID, named, wait_option
from covirt.cli.nouns.machines import VM, find_machine, names_of_kind
from covirt.cli.output import Column, ago, output_option, tell_list, tell_one

if TYPE_CHECKING:
    from covirt.client.record import Record
    from covirt.client.resources import Collection, Resources

_COLUMNS = (
    named("DESCRIPTION", "description", cut=True),
    named("STATUS", "snapshot_status"),
    Column(title="MADE", value=lambda each: ago(each.when("date"))),
    ID,
)


@click.group()
def snapshot() -> None:
    """What the disks of a virtual machine were."""


def _of(resources: "Resources", machine: str) -> "tuple[Record, Collection]":
    from covirt.client.resources import Collection

    vm = find_machine(resources, machine, VM)
    path = f"vms/{vm.id}/snapshots"
    return vm, Collection(path=path, element="snapshot", noun="snapshot", searched=False, name_field="description")


@snapshot.command("list")
@click.argument("machine", shell_complete=names_of_kind(VM))
@output_option
def listing(machine: str, output: str) -> None:
    """List the snapshots of a virtual machine."""
    from covirt.cli.session import engine

    with engine() as resources:
        _, below = _of(resources, machine)
        found = [each for each in resources.list(below) if each.text("snapshot_type") != "active"]
    tell_list(found, _COLUMNS, output, ())


@snapshot.command()
@click.argument("machine", shell_complete=names_of_kind(VM))
@click.argument("name")
@output_option
def show(machine: str, name: str, output: str) -> None:
    """Show a snapshot, by its description or id."""
    from covirt.cli.session import engine

    with engine() as resources:
        _, below = _of(resources, machine)
        found = resources.find(below, name)
    tell_one(found, _COLUMNS, output)


@snapshot.command(short_help="Keep what the disks are now.")
@click.argument("machine", shell_complete=names_of_kind(VM))
@click.argument("description")
@click.option("--disk", "disks", multiple=True, metavar="DISK", help="of this disk alone; may be given again")
@wait_option
def create(machine: str, description: str, disks: tuple[str, ...], *, wait: bool) -> None:
    """Keep what the disks are now, also of a machine that runs: covirt snapshot create db "before the update"."""
    from covirt.cli.session import engine
    from covirt.cli.waiting import wait_for_snapshot
    from covirt.client.resources import DISKS

    with engine() as resources:
        _, below = _of(resources, machine)
        body: dict[str, Any] = {"description": description}
        if disks:
            chosen = [{"disk": {"id": resources.find(DISKS, name).id}} for name in disks]
            body["disk_attachments"] = {"disk_attachment": chosen}
        made = resources.add(below.path, body)
        if wait:
            wait_for_snapshot(resources, below, made.id)
        click.echo(made.id)


@snapshot.command(short_help="Make the disks what they were.")
@click.argument("machine", shell_complete=names_of_kind(VM))
@click.argument("name")
@wait_option
def restore(machine: str, name: str, *, wait: bool) -> None:
    """Make the disks what they were; what was written since is gone, and so are later snapshots."""
    from covirt.cli.session import engine

    with engine() as resources:
        vm, below = _of(resources, machine)
        found = resources.find(below, name)
        _end(resources, resources.act(below, found.id, "restore"), f"restoring {vm.name}", wait=wait)
        click.echo(found.text("description"))


@snapshot.command(short_help="Make the disks what they were, for a while.")
@click.argument("machine", shell_complete=names_of_kind(VM))
@click.argument("name")
@wait_option
def preview(machine: str, name: str, *, wait: bool) -> None:
    """Make the disks what they were, for a while: then commit that, or undo it. The machine may run meanwhile."""
    from covirt.cli.session import engine
    from covirt.client.resources import VMS

    with engine() as resources:
        vm, below = _of(resources, machine)
        found = resources.find(below, name)
        answer = resources.act(VMS, vm.id, "previewsnapshot", snapshot={"id": found.id})
        _end(resources, answer, f"previewing {vm.name}", wait=wait)
        click.echo(found.text("description"))


@snapshot.command(short_help="Stay with what is previewed.")
@click.argument("machine", shell_complete=names_of_kind(VM))
@wait_option
def commit(machine: str, *, wait: bool) -> None:
    """Stay with what is previewed; what was before the preview is gone, and so are later snapshots."""
    _end_preview(machine, "commitsnapshot", "committing the preview of", wait=wait)


@snapshot.command(short_help="Go back to what was before the preview.")
@click.argument("machine", shell_complete=names_of_kind(VM))
@wait_option
def undo(machine: str, *, wait: bool) -> None:
    """Go back to what was before the preview; what was written in it is gone."""
    _end_preview(machine, "undosnapshot", "undoing the preview of", wait=wait)


def _end_preview(machine: str, verb: str, doing: str, *, wait: bool) -> None:
    from covirt.cli.session import engine
    from covirt.client.resources import VMS

    with engine() as resources:
        vm, _ = _of(resources, machine)
        _end(resources, resources.act(VMS, vm.id, verb), f"{doing} {vm.name}", wait=wait)
        click.echo(vm.name)


def _end(resources: "Resources", answer: "Record", doing: str, *, wait: bool) -> None:
    from covirt.cli.waiting import wait_for_answer

    if wait:
        wait_for_answer(resources, answer, doing)


@snapshot.command()
@click.argument("machine", shell_complete=names_of_kind(VM))
@click.argument("names", nargs=-1, required=True)
def remove(machine: str, names: tuple[str, ...]) -> None:
    """Remove snapshots; the disks stay what they are now."""
    from covirt.cli.session import engine
    from covirt.cli.waiting import wait_for_removal

    with engine() as resources:
        _, below = _of(resources, machine)
        for name in names:
            found = resources.find(below, name)
            resources.api.delete(f"{below.path}/{found.id}")
            wait_for_removal(resources, below, found.id)
            click.echo(name)
