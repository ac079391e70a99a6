# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt vm``."""

from collections.abc import Sequence
from typing import IO

import click

from covirt.cli.nouns.common import (
    CLUSTER_NAMES,
    DISK_NAMES,
    NETWORK_NAMES,
    SIZE,
    STORAGE_NAMES,
    TEMPLATE_NAMES,
    wait_option,
)
from covirt.cli.nouns.machines import VM, add_common, find_machine, names_of_kind


@click.group()
def vm() -> None:
    """Virtual machines."""


add_common(vm, VM)


@vm.command()
@click.argument("name")
@click.option("--memory", type=SIZE, metavar="SIZE", help="[default: 1GiB, or the template's]")
@click.option("--cpus", type=click.IntRange(1, 710), metavar="NUMBER", help="[default: 1, or the template's]")
@click.option(
    "--disk", "disks", multiple=True, metavar="[NAME:]SIZE|NAME", help="New, or there; the first one boots."
)
@click.option("--format", "disk_format", type=click.Choice(("cow", "raw")), default="cow", show_default=True,
              help="Of new disks.")  # fmt: skip
@click.option(
    "--net",
    "networks",
    shell_complete=NETWORK_NAMES,
    multiple=True,
    metavar="NETWORK",
    help="An interface in it; may be repeated.",
)
@click.option(
    "--cdrom", shell_complete=DISK_NAMES, metavar="DISK", help="The disc in its drive: a disk of content type iso."
)
@click.option("--template", shell_complete=TEMPLATE_NAMES, default="Blank", show_default=True)
@click.option("--cluster", shell_complete=CLUSTER_NAMES, help="[default: Default, or the only one]")
@click.option(
    "--storage",
    shell_complete=STORAGE_NAMES,
    metavar="NAME",
    help="For new disks, and copies of the template's.  [default: the only one; the template's]",
)
@click.option("--hostname", metavar="NAME", help="For cloud-init, as the four that follow: the guest's name.")
@click.option("--user", metavar="NAME", help="Who may log in.  [default: the image's user]")
@click.option(
    "--ssh-key", "keys", multiple=True, type=click.File("r"), metavar="FILE", help="A public key of theirs."
)
@click.option("--password-file", type=click.File("r"), metavar="FILE", help="Their password is its first line.")
@click.option("--cloud-init", "script", type=click.File("r"), metavar="FILE", help="More of cloud-init's YAML.")
@click.option("--start", is_flag=True, help="Start it, too.")
@wait_option
def create(
    name: str, memory: int | None, cpus: int | None, disks: tuple[str, ...], disk_format: str,
    networks: tuple[str, ...], cdrom: str | None, template: str, cluster: str | None, storage: str | None,
    hostname: str | None, user: str | None, keys: tuple[IO[str], ...], password_file: IO[str] | None,
    script: IO[str] | None, *, start: bool, wait: bool,
) -> None:  # fmt: skip
    """Make a virtual machine, as in: covirt vm create db --memory 4GiB --disk 20GiB --net ovirtmgmt."""
    from covirt.cli import machines
    from covirt.cli.nouns.machines import start_machine
    from covirt.cli.session import engine
    from covirt.client.resources import DISKS, Collection

    with engine() as resources:
        where = machines.default_cluster(resources, cluster)
        disc = resources.find(DISKS, cdrom) if cdrom else None
        blank = template == "Blank"
        body = machines.machine_body(
            name, where, memory or (1 << 30 if blank else 0), cpus or (1 if blank else 0), template
        )
        if storage and not blank:
            body["storage_domain"] = {"name": storage}
        if settings := _first_settings(hostname, user, keys, password_file, script):
            body["initialization"] = settings
        order = ["hd", "cdrom"] if disks else ["cdrom"] if disc else ["network"]
        if blank or disks or disc:
            body["os"] = {"boot": {"devices": {"device": order}}}
        made = machines.create(
            resources,
            machines.Wanted(
                name=name,
                body=body,
                volumes=[machines.parse_disk(each) for each in disks],
                networks=networks,
                storage=storage or "",
                disk_format=disk_format,
                from_disk=True,
            ),
        )
        with machines.taken_back(resources, made):
            if disc is not None:
                drives = Collection(path=f"vms/{made.vm.id}/cdroms", element="cdrom", noun="cdrom")
                (drive,) = resources.list(drives)
                resources.api.put(f"{drives.path}/{drive.id}", {"file": {"id": disc.id}})
            if start:
                start_machine(resources, made.vm, host_name=None, wait=wait)
        click.echo(name)


def _first_settings(
    hostname: str | None,
    user: str | None,
    keys: tuple[IO[str], ...],
    password: IO[str] | None,
    script: IO[str] | None,
) -> dict[str, str]:
    """What was said of them, as the API has it."""
    told = {
        "host_name": hostname,
        "user_name": user,
        "authorized_ssh_keys": "\n".join(each.read().strip() for each in keys),
        "root_password": password.readline().rstrip("\r\n") if password else None,
        "custom_script": script.read() if script else None,
    }
    return {name: text for name, text in told.items() if text}


@vm.command()
@click.argument("names", nargs=-1, required=True, shell_complete=names_of_kind(VM))
@wait_option
def suspend(names: Sequence[str], *, wait: bool) -> None:
    """Keep the memory of running machines in storage, and end them; start lets them go on, stop --force drops it."""
    from covirt.cli.session import engine
    from covirt.cli.waiting import wait_for_answer
    from covirt.client.resources import VMS

    with engine() as resources:
        for name in names:
            answer = resources.act(VMS, find_machine(resources, name, VM).id, "suspend")
            if wait:
                wait_for_answer(resources, answer, f"suspending of {name}")
            click.echo(name)


@vm.command()
@click.argument("name", shell_complete=names_of_kind(VM))
@click.option("--force", is_flag=True, help="Take it over from somebody else.")
def console(name: str, *, force: bool) -> None:
    """Open its serial console; Ctrl-] leaves it."""
    from covirt.cli.session import engine
    from covirt.cli.terminal import open_console

    with engine() as resources:
        open_console(resources, find_machine(resources, name, VM), force=force)
