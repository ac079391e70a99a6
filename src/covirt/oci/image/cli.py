# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``virtocid-image``: import, list, inspect, verify and remove container images.

Libraries are imported inside the commands, so that --help and completion answer at once.
"""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from covirt.oci.image.options import ProgressCallback
    from covirt.oci.image.store import ImageStore

_Command = Callable[..., None]


def _common(command: _Command) -> _Command:
    """The options of every command."""
    root = click.option(
        "--root",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default="/",
        show_default=True,
        help="The installation's directory.",
    )
    form = click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How to print the answer.",
    )
    return root(form(command))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="covirt", prog_name="virtocid-image")
def cli() -> None:
    """Container images: bring them here, look at them, check them, remove them."""


@cli.command("import")
@click.argument("source")
@click.option("--name", help="The image's name here; default: from SOURCE.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the image to this file instead of keeping it here under a name.",
)
@click.option(
    "--authfile",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Credentials for registries, as written by `skopeo login --authfile`.",
)
@click.option(
    "--cert-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Certificates to reach the registry with: *.crt, *.cert, *.key.",
)
@click.option(
    "--policy",
    type=click.Path(dir_okay=False, path_type=Path),
    default="/etc/containers/policy.json",
    show_default=True,
    help="The signature policy that decides what may be imported.",
)
@click.option(
    "--tls-verify/--no-tls-verify",
    default=True,
    show_default=True,
    help="Whether the registry must speak TLS with a trusted certificate.",
)
@click.option(
    "--filesystem",
    type=click.Choice(["erofs", "ext4"]),
    help="What to pack the image as; default: the first of these that this host's kernel can mount.",
)
@click.option(
    "--progress",
    "progress_form",
    type=click.Choice(["auto", "plain", "json", "none"]),
    default="auto",
    show_default=True,
    help="json: one object a line on standard output; auto: a bar on a terminal, else plain lines.",
)
@_common
def import_command(
    source: str,
    name: str | None,
    output: Path | None,
    authfile: Path | None,
    cert_dir: Path | None,
    policy: Path,
    filesystem: str | None,
    progress_form: str,
    form: str,
    root: Path,
    *,
    tls_verify: bool,
) -> None:
    """Import SOURCE: docker://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST], oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG],
    docker-archive:FILE[:REFERENCE] or aci:FILE."""
    if name is not None and output is not None:
        raise click.UsageError("give --name or --output, not both")
    from covirt.oci.image.options import ImportOptions
    from covirt.oci.image.progress import shown
    from covirt.oci.image.render import image_json, print_image, print_json

    options = ImportOptions(
        authfile=authfile, cert_dir=cert_dir, policy=policy, tls_verify=tls_verify, filesystem=filesystem
    )

    def work(progress: "ProgressCallback") -> Any:
        return _store(root).import_(source, name=name, output=output, options=options, progress=progress)

    with shown(progress_form) as progress:
        image = work(progress)
    if progress_form == "json":
        print_json({"step": "done", "percent": 100.0, "image": image_json(image)}, compact=True)
    elif form == "json":
        print_json(image_json(image))
    else:
        print_image(image, short=True)


@cli.command("list")
@_common
def list_command(form: str, root: Path) -> None:
    """List the images kept here."""
    from covirt.oci.image.render import image_json, print_images, print_json

    images = _store(root).list()
    if form == "json":
        print_json([image_json(image) for image in images])
    else:
        print_images(images)


@cli.command("inspect")
@click.argument("image")
@_common
def inspect_command(image: str, form: str, root: Path) -> None:
    """Show what IMAGE (a name, or the path of a file) says of itself."""
    from covirt.oci.image.render import image_json, print_image, print_json

    store = _store(root)
    found = store.find(image)
    if form == "json":
        print_json({**image_json(found), "trusted": store.is_trusted(found.path)})
    else:
        print_image(found, short=False)


@cli.command("verify")
@click.argument("image")
@_common
def verify_command(image: str, form: str, root: Path) -> None:
    """Read every byte of IMAGE (a name, or the path of a file) and tell whether it is whole and made here."""
    from covirt.oci.image.render import print_json

    found = _store(root).verify(image)
    if form == "json":
        print_json(
            {
                "name": found.image.name,
                "path": str(found.image.path),
                "digest": found.image.digest,
                "file_digest": found.file_digest,
                "trusted": found.trusted,
            }
        )
        return
    click.echo(f"{image}: whole; {'made here' if found.trusted else 'not made here: it is repacked before use'}")


@cli.command("remove")
@click.argument("name")
@_common
def remove_command(name: str, form: str, root: Path) -> None:
    """Remove the image NAME, unless a domain uses it."""
    from covirt.oci.image.render import print_json

    _store(root).remove(name)
    if form == "json":
        print_json({"removed": name})
    else:
        click.echo(f"{name}: removed")


def _store(root: Path) -> "ImageStore":
    from covirt.common.root import Root
    from covirt.oci.image.store import ImageStore

    return ImageStore(Root(root))


def _ended(number: int, _frame: FrameType | None) -> NoReturn:
    # As an exception, so that programs we started end and the work directory goes.
    raise SystemExit(128 + number)


def main() -> None:
    """Entry point. Exit status: 0, 1 with one line on stderr (3 where what was read is no image, or a damaged one), 2
    for wrong usage, 128 plus the signal."""
    from covirt.common.errors import Error
    from covirt.oci.image.errors import ImageDamaged, NotAnImage

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        _fail("interrupted", 130)
    except (NotAnImage, ImageDamaged) as error:
        _fail(str(error), 3)
    except Error as error:
        _fail(str(error), 1)
    except PermissionError as error:
        _fail(f"{error.filename}: permission denied; run this as root", 1)
    except OSError as error:
        _fail(f"{error.filename or 'input or output'}: {error.strerror}", 1)


def _fail(message: str, status: int) -> NoReturn:
    click.echo(f"virtocid-image: {' '.join(message.split())}", err=True)
    sys.exit(status)
