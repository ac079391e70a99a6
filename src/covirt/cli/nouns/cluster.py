# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt cluster``."""

from typing import TYPE_CHECKING

import click

from covirt.cli.nouns.common import (
    DATA_CENTER_NAMES,
    ID,
    NAME,
    Face,
    add_list,
    add_remove,
    add_show,
    lazily,
    named,
)
from covirt.cli.output import Column

if TYPE_CHECKING:
    from covirt.client.record import Record

_FEATURE = "containers"


@click.group()
def cluster() -> None:
    """Clusters of hosts."""


def _version(each: "Record") -> str:
    return ".".join(filter(None, (each.text("version.major"), each.text("version.minor"))))


def _features(each: "Record") -> str:
    return ", ".join(sorted(one.name for one in each.records("enabled_features.cluster_feature")))


FACE = Face(
    load=lazily("CLUSTERS"),
    columns=(
        NAME,
        Column(title="LEVEL", value=_version),
        named("DATA CENTER", "data_center.name"),
        named("CPU", "cpu.architecture"),
        Column(title="FEATURES", value=_features),
        named("DESCRIPTION", "description", wide=True),
        ID,
    ),
    follow="data_center,enabledfeatures",
)
add_list(cluster, FACE, "clusters")
add_show(cluster, FACE, "a cluster")
add_remove(cluster, FACE, "clusters")


@cluster.command()
@click.argument("name")
@click.option(
    "--data-center",
    shell_complete=DATA_CENTER_NAMES,
    default="Default",
    show_default=True,
    help="That it belongs to.",
)
@click.option(
    "--containers/--no-containers", default=True, show_default=True, help="Whether containers may run there."
)
def create(name: str, data_center: str, *, containers: bool) -> None:
    """Make a cluster."""
    from functools import partial

    from covirt.cli.session import engine
    from covirt.cli.unmaking import take_back
    from covirt.common.undo import undo_on_failure

    with engine() as resources:
        body = {"name": name, "data_center": {"name": data_center}, "cpu": {"architecture": "x86_64"}}
        with undo_on_failure() as undo:
            made = resources.add("clusters", body)
            undo.add("remove it", partial(take_back, resources, f"clusters/{made.id}", f"the cluster {name}"))
            if containers:
                resources.add(f"clusters/{made.id}/enabledfeatures", {"name": _FEATURE})
        click.echo(name)
