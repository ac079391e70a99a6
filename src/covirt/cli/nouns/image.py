# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt image``: container images of storage domains."""

from typing import TYPE_CHECKING

import click

from covirt.cli.nouns.common import (
    ID,
    NAME,
    SECRET_NAMES,
    STORAGE_NAMES,
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


@click.group()
def image() -> None:
    """Container images."""


def _listed(path: str) -> "Column":
    def value(each: "Record") -> str:
        return ", ".join(each.texts(path))

    return Column(title=path.upper().replace("_", " "), value=value)


def short_reference(found: "Record") -> str:
    """As people type it."""
    return found.text("reference").removeprefix("docker://")


FACE = Face(
    load=lazily("IMAGES"),
    columns=(
        NAME,
        Column(title="REFERENCE", value=short_reference, cut=True),
        sized("SIZE", "size_bytes"),
        named("STATUS", "status"),
        _listed("used_by"),
        Column(title="VOLUMES", value=lambda each: ", ".join(each.texts("volumes")), wide=True),
        named("ARCHITECTURE", "architecture", wide=True),
        named("DIGEST", "digest", wide=True),
        ID,
    ),
)
add_list(image, FACE, "container images", searched=False)
add_show(image, FACE, "a container image")


@image.command("import")
@click.argument("reference")
@click.option(
    "--storage",
    shell_complete=STORAGE_NAMES,
    metavar="NAME",
    help="The storage domain for it.  [default: the one that is active]",
)
@click.option("--name", help="What it is called.  [default: the last part of the reference]")
@click.option("--tls-verify/--no-tls-verify", default=True, show_default=True, help="Of the registry.")
@click.option(
    "--credentials",
    shell_complete=SECRET_NAMES,
    metavar="SECRET",
    help="The secret with the registry's user and password.",
)
def import_(
    reference: str, storage: str | None, name: str | None, credentials: str | None, *, tls_verify: bool
) -> None:
    """Copy an image from a registry, as in docker.io/library/nginx:1."""
    from covirt.cli.images import Wanted, import_image
    from covirt.cli.session import engine

    wanted = Wanted(
        reference=reference,
        storage=storage or "",
        name=name or "",
        tls_verify=tls_verify,
        credentials=credentials or "",
    )
    with engine() as resources:
        click.echo(import_image(resources, wanted).id)


@image.command()
@click.argument("names", nargs=-1, required=True, shell_complete=FACE.completed)
def remove(names: tuple[str, ...]) -> None:
    """Remove images that no container needs, by name, reference, digest or id."""
    from covirt.cli.images import find_image
    from covirt.cli.session import engine

    with engine() as resources:
        for name in names:
            resources.api.delete(f"{FACE.load().path}/{find_image(resources, name).id}")
            click.echo(name)


@image.command()
@click.option("--yes", "-y", is_flag=True, help="Without asking.")
def prune(*, yes: bool) -> None:
    """Remove all images that no container needs."""
    import sys

    from covirt.cli.errors import NotConfirmed
    from covirt.cli.session import engine

    with engine() as resources:
        unused = [each for each in resources.list(FACE.load()) if not each.texts("used_by")]
        if not unused:
            click.echo("every image is needed")
            return
        names = ", ".join(each.name for each in unused)
        if not yes:
            if not sys.stdin.isatty():
                raise NotConfirmed(what=f"{names} would be removed", option="--yes")
            click.confirm(f"Remove {names}?", abort=True)
        for each in unused:
            resources.api.delete(f"{FACE.load().path}/{each.id}")
            click.echo(each.name)
