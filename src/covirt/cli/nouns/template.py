# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt template``."""

import click

from covirt.cli.nouns.common import (
    ID,
    NAME,
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


@click.group()
def template() -> None:
    """What machines are made from."""


FACE = Face(
    load=lazily("TEMPLATES"),
    columns=(
        NAME,
        named("VERSION", "version.version_number"),
        named("STATUS", "status"),
        sized("MEMORY", "memory"),
        named("CLUSTER", "cluster.name"),
        named("DESCRIPTION", "description", wide=True),
        ID,
    ),
    follow="cluster",
)
add_list(template, FACE, "templates")
add_show(template, FACE, "a template")
add_remove(template, FACE, "templates")


@template.command()
@click.argument("name")
@click.argument("machine")
@click.option("--description", default="", help="For people.")
@click.option("--version-name", help="Make it another version of the template NAME, called so.")
@click.option(
    "--storage", shell_complete=STORAGE_NAMES, metavar="NAME", help="For the copies.  [default: where its disks lie]"
)
@wait_option
def create(
    name: str, machine: str, description: str, version_name: str | None, storage: str | None, *, wait: bool
) -> None:
    """Make a template of a machine that is down, with copies of its disks: covirt template create golden web."""
    from covirt.cli.session import engine
    from covirt.cli.waiting import wait_for_template
    from covirt.client.resources import VMS

    with engine() as resources:
        found = resources.find(VMS, machine)
        body = {"name": name, "description": description, "vm": {"id": found.id}}
        if version_name is not None:
            body["version"] = {"base_template": {"name": name}, "version_name": version_name}
        if storage:
            body["storage_domain"] = {"name": storage}
        made = resources.add("templates", body)
        if wait:
            wait_for_template(resources, made.id)
        click.echo(name)
