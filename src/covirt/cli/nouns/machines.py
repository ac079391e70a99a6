# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What virtual machines and containers have alike: how they are told, begun, ended and removed."""

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from covirt.cli.completing import Complete, names_of
from covirt.cli.errors import WrongKind
from covirt.cli.nouns.common import (
    HOST_NAMES,
    ID,
    NAME,
    Face,
    add_list,
    add_show,
    lazily,
    named,
    sized,
    wait_option,
)
from covirt.cli.output import Column, ago, output_option, say_data, say_table

if TYPE_CHECKING:
    from covirt.client.record import Record
    from covirt.client.resources import Resources

CONTAINER: Final = "container"
VM: Final = "vm"
_KINDS: Final = {CONTAINER: "container", VM: "virtual machine"}
_SEARCHES: Final = {CONTAINER: "kind = container", VM: "kind = virtual_machine"}
_FOLLOW: Final = "host,cluster,reporteddevices"
_STOP_SECONDS: Final = 300.0


def names_of_kind(kind: str) -> Complete:
    return names_of(lazily("VMS"), search=_SEARCHES[kind])


def kind_of(each: "Record") -> str:
    return CONTAINER if prop(each, "containerType") else VM


def prop(each: "Record", name: str) -> str:
    """A custom property."""
    properties = each.records("custom_properties.custom_property")
    return next((one.text("value") for one in properties if one.name == name), "")


def addresses(each: "Record") -> str:
    """IPv4 first; what is of the link or the machine alone helps nobody."""
    found = [ip for device in each.records("reported_devices.reported_device") for ip in device.records("ips.ip")]
    told = [(ip.text("version") == "v6", ip.text("address")) for ip in found]
    return ", ".join(address for _, address in sorted(told) if _is_reached(address))


def _is_reached(address: str) -> bool:
    """From elsewhere."""
    import ipaddress

    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (found.is_link_local or found.is_loopback)


def _exit_code(each: "Record") -> str:
    """Of the last run, where it is over and its process had one but 0."""
    found = exit_code_in(each.text("stop_reason")) if each.text("status") == "down" else None
    return "" if found is None else str(found)


def _image(each: "Record") -> str:
    return each.text("image_name") or prop(each, "containerImage")


def _command(each: "Record") -> str:
    """As a shell takes it."""
    import json
    import shlex

    text = prop(each, "containerCommand")
    try:
        return shlex.join(json.loads(text)) if text else ""
    except (ValueError, TypeError):
        return text


def exit_code_in(reason: str) -> int | None:
    """In the engine's words of an end."""
    found = re.search(r"\bcode (\d{1,3})\b", reason)
    return int(found[1]) if found else None


def face_of(kind: str) -> Face:
    own = (
        [
            Column(title="EXIT", value=_exit_code),
            Column(title="IMAGE", value=_image, cut=True),
        ]
        if kind == CONTAINER
        else [named("CPUS", "cpu.topology.cores")]
    )
    return Face(
        load=lazily("VMS"),
        columns=(
            NAME,
            named("STATUS", "status"),
            *own,
            Column(title="ADDRESS", value=addresses, cut=True),
            named("HOST", "host.name"),
            Column(title="STARTED", value=lambda each: ago(each.when("start_time")) if each.text("host.id") else ""),
            named("REASON", "stop_reason", wide=True),
            sized("MEMORY", "memory", wide=True),
            named("CLUSTER", "cluster.name", wide=True),
            Column(title="COMMAND", value=_command, wide=True),
            Column(title="VOLUMES", value=lambda each: prop(each, "volumeMap"), wide=True),
            ID,
        ),
        follow=_FOLLOW,
        search=_SEARCHES[kind],
        noun=kind,
        prepare=_with_images if kind == CONTAINER else _as_they_are,
        check=partial(_check_kind, kind),
    )


def _as_they_are(_resources: "Resources", found: "list[Record]") -> "list[Record]":
    return found


def _with_images(resources: "Resources", found: "list[Record]") -> "list[Record]":
    """They name images by id; people know the reference."""
    from covirt.cli.nouns.image import short_reference
    from covirt.client.record import Record
    from covirt.client.resources import IMAGES

    names = {each.id: short_reference(each) for each in resources.list(IMAGES)}
    return [Record({**each.values, "image_name": names.get(prop(each, "containerImage"), "")}) for each in found]


def find_machine(resources: "Resources", name: str, kind: str) -> "Record":
    """Raises NoSuchName, WrongKind."""
    from covirt.client.errors import NoSuchName
    from covirt.client.resources import VMS

    try:
        found = resources.find(VMS, name)
    except NoSuchName as error:
        raise NoSuchName(noun=kind, name=name) from error
    _check_kind(kind, name, found)
    return found


def _check_kind(kind: str, name: str, found: "Record") -> None:
    """Raises WrongKind."""
    other = kind_of(found)
    if other != kind:
        raise WrongKind(name=name, kind=_KINDS[other], noun=other)


def add_common(group: click.Group, kind: str) -> None:
    """The verbs of both."""
    face, what = face_of(kind), f"{_KINDS[kind]}s"
    add_list(group, face, what)
    add_show(group, face, f"a {_KINDS[kind]}")
    _add_start(group, kind)
    _add_stop(group, kind)
    _add_restart(group, kind)
    _add_clone(group, kind)
    _add_remove(group, kind)
    _add_stats(group, kind)


def _add_start(group: click.Group, kind: str) -> None:
    @group.command("start", help=f"Start {_KINDS[kind]}s that are down.")
    @click.argument("names", nargs=-1, required=True, shell_complete=names_of_kind(kind))
    @click.option(
        "--host", "host_name", shell_complete=HOST_NAMES, metavar="HOST", help="Where.  [default: the engine chooses]"
    )
    @wait_option
    def start(names: Sequence[str], host_name: str | None, *, wait: bool) -> None:
        from covirt.cli.session import engine

        with engine() as resources:
            for name in names:
                start_machine(resources, find_machine(resources, name, kind), host_name=host_name, wait=wait)
                click.echo(name)


def start_machine(resources: "Resources", vm: "Record", *, host_name: str | None, wait: bool) -> None:
    """Raises JobFailed and what the engine refuses with."""
    from covirt.cli.waiting import STARTED, wait_for_answer, wait_for_vm
    from covirt.client.resources import VMS

    body = {"vm": {"placement_policy": {"hosts": {"host": [{"name": host_name}]}}}} if host_name else {}
    answer = resources.act(VMS, vm.id, "start", **body)
    if wait:
        wait_for_answer(resources, answer, f"start of {vm.name}")
        wait_for_vm(resources, vm.id, (*STARTED, "down"))


def _add_stop(group: click.Group, kind: str) -> None:
    @group.command("stop", help=f"Shut {_KINDS[kind]}s down.")
    @click.argument("names", nargs=-1, required=True, shell_complete=names_of_kind(kind))
    @click.option("--force", is_flag=True, help="At once, without asking them.")
    @wait_option
    def stop(names: Sequence[str], *, force: bool, wait: bool) -> None:
        from covirt.cli.session import engine

        with engine() as resources:
            for name in names:
                stop_machine(resources, find_machine(resources, name, kind), force=force, wait=wait)
                click.echo(name)


def stop_machine(resources: "Resources", vm: "Record", *, force: bool, wait: bool) -> None:
    from covirt.cli.waiting import wait_for_vm
    from covirt.client.resources import VMS

    resources.act(VMS, vm.id, "stop" if force else "shutdown")
    if wait:
        wait_for_vm(resources, vm.id, ("down",), seconds=_STOP_SECONDS)


def _add_restart(group: click.Group, kind: str) -> None:
    @group.command("restart", help=f"Restart {_KINDS[kind]}s on their hosts.")
    @click.argument("names", nargs=-1, required=True, shell_complete=names_of_kind(kind))
    @click.option("--force", is_flag=True, help="At once, without asking them.")
    def restart(names: Sequence[str], *, force: bool) -> None:
        from covirt.cli.session import engine
        from covirt.client.resources import VMS

        with engine() as resources:
            for name in names:
                found = find_machine(resources, name, kind)
                resources.act(VMS, found.id, "reset" if force else "reboot")
                click.echo(name)


def _add_clone(group: click.Group, kind: str) -> None:
    @group.command("clone", help=f"Make another {_KINDS[kind]} like one that is down, with copies of its disks.")
    @click.argument("name")
    @click.argument("new_name")
    @wait_option
    def clone(name: str, new_name: str, *, wait: bool) -> None:
        from covirt.cli.session import engine
        from covirt.cli.waiting import wait_for_answer
        from covirt.client.resources import VMS

        with engine() as resources:
            found = find_machine(resources, name, kind)
            answer = resources.act(VMS, found.id, "clone", vm={"name": new_name})
            if wait:
                wait_for_answer(resources, answer, f"clone of {name}")
            click.echo(new_name)


# Each as its users know it: podman keeps volumes, oVirt removes a machine's disks.
_REMOVE_HELP: Final = {
    CONTAINER: "Remove containers that are down; the disks of their volumes stay.",
    VM: "Remove virtual machines that are down, with the disks that are theirs alone.",
}
_KEEP: Final = {
    CONTAINER: click.option(
        "--volumes", "-v", "keep_disks", flag_value=False, default=True, type=bool, help="With the disks, too."
    ),
    VM: click.option("--keep-disks", is_flag=True, help="Only detach their disks."),
}


def _add_remove(group: click.Group, kind: str) -> None:
    @group.command("remove", help=_REMOVE_HELP[kind])
    @click.argument("names", nargs=-1, required=True, shell_complete=names_of_kind(kind))
    @click.option("--force", is_flag=True, help="Stop those that run.")
    @_KEEP[kind]
    def remove(names: Sequence[str], *, force: bool, keep_disks: bool) -> None:
        from covirt.cli.session import engine

        with engine() as resources:
            for name in names:
                found = find_machine(resources, name, kind)
                if force and found.text("status") != "down":
                    stop_machine(resources, found, force=True, wait=True)
                resources.api.delete(f"vms/{found.id}{'?detach_only=true' if keep_disks else ''}")
                click.echo(name)


def _add_stats(group: click.Group, kind: str) -> None:
    @group.command("stats", help=f"Show what {_KINDS[kind]}s use.")
    @click.argument("names", nargs=-1, shell_complete=names_of_kind(kind))
    @click.option("--watch", is_flag=True, help="Again and again, until Ctrl-C.")
    @output_option
    def stats(names: Sequence[str], output: str, *, watch: bool) -> None:
        import time

        from covirt.cli.session import engine
        from covirt.client.resources import VMS

        with engine() as resources:
            ids = {find_machine(resources, name, kind).id for name in names}
            while True:
                listed = resources.list(VMS, search=_SEARCHES[kind], follow="statistics,host")
                found = [each for each in listed if (each.id in ids if ids else each.text("host.id"))]
                if watch:
                    click.clear()
                _tell_stats(found, output)
                if not watch:
                    return
                time.sleep(_STATS_SECONDS)


_STATS_SECONDS: Final = 2.0


def _figures(each: "Record") -> dict[str, float]:
    found = {}
    for one in each.records("statistics.statistic"):
        values = one.records("values.value")
        found[one.name] = values[0].number("datum") if values else 0.0
    return found


def _tell_stats(found: "Sequence[Record]", output: str) -> None:
    from covirt.common.units import readable_size

    figures = {each.name: _figures(each) for each in found}
    if output in ("json", "yaml"):
        say_data(figures, output)
        return
    rows = [
        [
            each.name,
            f"{figures[each.name].get('cpu.current.total', 0):.1f} %",
            readable_size(int(figures[each.name].get("memory.used", 0))),
            readable_size(each.whole("memory")),
            each.text("host.name"),
        ]
        for each in found
    ]
    say_table(("NAME", "CPU", "MEMORY", "OF", "HOST"), rows)
