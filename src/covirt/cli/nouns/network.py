# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt network``."""

import click

from covirt.cli.nouns.common import (
    CLUSTER_NAMES,
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


@click.group()
def network() -> None:
    """Networks."""


FACE = Face(
    load=lazily("NETWORKS"),
    columns=(
        NAME,
        named("VLAN", "vlan.id"),
        Column(title="MTU", value=lambda each: str(each.whole("mtu") or "default")),
        named("DATA CENTER", "data_center.name"),
        named("DESCRIPTION", "description", wide=True),
        ID,
    ),
    follow="data_center",
)
add_list(network, FACE, "networks")
add_show(network, FACE, "a network")
add_remove(network, FACE, "networks")


@network.command()
@click.argument("name")
@click.option(
    "--data-center",
    shell_complete=DATA_CENTER_NAMES,
    default="Default",
    show_default=True,
    help="That it belongs to.",
)
@click.option("--vlan", type=click.IntRange(1, 4094), help="Its tag.")
@click.option("--mtu", type=click.IntRange(68, 65535), help="Its largest frames.")
@click.option(
    "--cluster",
    "clusters",
    shell_complete=CLUSTER_NAMES,
    multiple=True,
    help="That has it; may be repeated.  [default: all of them]",
)
def create(name: str, data_center: str, vlan: int | None, mtu: int | None, clusters: tuple[str, ...]) -> None:
    """Make a network. Hosts have it once a NIC or nothing was given to it there (docs/covirt-engine.md)."""
    from functools import partial

    from covirt.cli.session import engine
    from covirt.cli.unmaking import take_back
    from covirt.client.resources import CLUSTERS, DATA_CENTERS
    from covirt.common.undo import undo_on_failure

    body: dict[str, object] = {"name": name, "data_center": {"name": data_center}}
    if vlan is not None:
        body["vlan"] = {"id": vlan}
    if mtu is not None:
        body["mtu"] = mtu
    with engine() as resources:
        center = resources.find(DATA_CENTERS, data_center).id
        named_ones = [resources.find(CLUSTERS, each) for each in clusters]
        chosen = named_ones or [each for each in resources.list(CLUSTERS) if each.text("data_center.id") == center]
        with undo_on_failure() as undo:
            made = resources.add("networks", body)
            undo.add("remove it", partial(take_back, resources, f"networks/{made.id}", f"the network {name}"))
            for each in chosen:
                resources.add(f"clusters/{each.id}/networks", {"id": made.id, "required": "false"})
        click.echo(name)
