# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Images as JSON and as text, for ``virtocid-image``."""

import json
from collections.abc import Sequence
from typing import Any

import click

from covirt.common.units import readable_size
from covirt.oci.image.model import ContainerImage


def image_json(image: ContainerImage) -> dict[str, Any]:
    """The keys and units of ``--format json``; they only ever grow."""
    config = image.config
    return {
        "name": image.name,
        "path": str(image.path),
        "digest": image.digest,
        "architecture": image.architecture,
        "size_bytes": image.size_bytes,
        "filesystem": image.filesystem,
        "filesystem_bytes": image.filesystem_bytes,
        "volumes": list(image.volumes),
        "config": {
            "entrypoint": list(config.entrypoint),
            "command": list(config.command),
            "environment": [f"{name}={value}" for name, value in config.environment],
            "working_directory": config.working_directory,
            "user": config.user,
            "stop_signal": config.stop_signal,
            "exposed_ports": list(config.exposed_ports),
            "labels": dict(config.labels),
            "healthcheck": None if config.healthcheck is None else dict(config.healthcheck),
        },
    }


def print_json(value: object, *, compact: bool = False) -> None:
    click.echo(json.dumps(value) if compact else json.dumps(value, indent=2))


def print_image(image: ContainerImage, *, short: bool) -> None:
    config = image.config
    rows = [
        ("name", image.name or "-"),
        ("path", str(image.path)),
        ("digest", image.digest),
        ("size", readable_size(image.size_bytes)),
    ]
    if not short:
        rows += [
            ("architecture", image.architecture),
            ("file system", image.filesystem),
            ("entrypoint", json.dumps(list(config.entrypoint))),
            ("command", json.dumps(list(config.command))),
            ("environment", " ".join(f"{name}={value}" for name, value in config.environment) or "-"),
            ("directory", config.working_directory),
            ("user", config.user or "-"),
            ("stop signal", config.stop_signal or "-"),
            ("ports", " ".join(config.exposed_ports) or "-"),
            ("volumes", " ".join(image.volumes) or "-"),
        ]
    for label, value in rows:
        click.echo(f"{label:<13} {_printable(value)}")


def print_images(images: Sequence[ContainerImage]) -> None:
    """A table on a terminal; tab-separated columns without a heading elsewhere."""
    columns = [(str(image.name), image.digest[7:19], image.architecture, image.size_bytes) for image in images]
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        for name, digest, architecture, size_bytes in columns:
            click.echo(f"{name}\t{digest}\t{architecture}\t{size_bytes}")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "digest", "architecture", "size", box=None)
    for name, digest, architecture, size_bytes in columns:
        table.add_row(Text(name), digest, Text(_printable(architecture)), readable_size(size_bytes))
    console.print(table)


def _printable(text: str) -> str:
    """Without what would command the terminal: images are written by strangers."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
