# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Machines of either kind are put together: first everything that can be refused, then all of it, or nothing."""

import json
import os
import random
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final

from covirt.cli.errors import BadOption, JobFailed, NoneOfThem, Unsaid
from covirt.cli.unmaking import remove_disk, remove_machine, unanswered_machine
from covirt.cli.waiting import wait_for_disk, wait_for_new_vm
from covirt.client.errors import EngineRefused, NoSuchName
from covirt.client.record import Record
from covirt.client.resources import CLUSTERS, DISKS, NETWORKS, PROFILES, STORAGE, Resources, is_id
from covirt.client.resources import Collection as Below
from covirt.common.undo import UndoStack, undo_on_failure
from covirt.common.units import BadSize, parse_size, readable_size

DISCARD: Final = "discard"
_INTERFACE: Final = "virtio"
_DEFAULT_SIZE: Final = 1 << 30
_LETTERS: Final = "bcdfghjkmnpqrstvwxz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A disk of a machine: ``disk`` is the name or id of one that is there, or of a new one of ``size_bytes``.

    ``path``: where a container has it; ``discarded``: memory for one run, and no disk.
    """

    path: str = ""
    disk: str = ""
    size_bytes: int = 0
    discarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """``body`` as the API wants a machine, without its disks and NICs. ``storage`` may be empty; ``from_disk``: it
    boots from its first disk."""

    name: str
    body: Mapping[str, Any]
    volumes: Sequence[Volume] = ()
    networks: Sequence[str] = ()
    storage: str = ""
    disk_format: str = "raw"
    from_disk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """``own_disks``: ids of those that nobody named, so that nobody will ask for them when the machine is gone;
    ``found_disks``: of those that were there before."""

    vm: Record
    own_disks: Sequence[str] = ()
    found_disks: Collection[str] = ()


def parse_volume(text: str) -> Volume:
    """DISK:/PATH, DISK:/PATH:SIZE, /PATH:SIZE, or /PATH:discard. Raises BadOption."""
    words = text.split(":")
    disk = "" if words[0].startswith("/") else words.pop(0)
    path = words.pop(0) if words else ""
    last = words.pop(0) if words else ""
    if words or not path.startswith("/"):
        reason = "write DISK:/PATH, DISK:/PATH:SIZE for a new disk, /PATH:SIZE, or /PATH:discard for memory"
        raise BadOption(option="--volume", text=text, reason=reason)
    if last == DISCARD and not disk:
        return Volume(path=path, discarded=True)
    return Volume(path=path, disk=disk, size_bytes=_size("--volume", text, last))


def parse_disk(text: str) -> Volume:
    """SIZE, NAME:SIZE, or the NAME of one that is there. Raises BadOption."""
    name, colon, size = text.rpartition(":")
    if colon:
        return Volume(disk=name, size_bytes=_size("--disk", text, size))
    try:
        return Volume(size_bytes=parse_size(text))
    except BadSize:
        return Volume(disk=text)


def _size(option: str, text: str, size: str) -> int:
    """0 where none is said."""
    return parsed_size(option, size, text) if size else 0


def parsed_size(option: str, size: str, text: str = "") -> int:
    """In bytes; ``text``: all that the option has, where that is more. Raises BadOption."""
    try:
        found = parse_size(size)
    except BadSize as error:
        reason = "a size is a whole number with a unit such as KiB, MiB or GiB"
        raise BadOption(option=option, text=text or size, reason=reason) from error
    if not found:
        raise BadOption(option=option, text=text or size, reason="a size is more than nothing")
    return found


def new_disk(name: str, size_bytes: int, *, storage: str, disk_format: str = "raw") -> dict[str, object]:
    """For POST disks."""
    return {
        "name": name,
        "provisioned_size": size_bytes,
        "format": disk_format,
        "sparse": "true",
        "storage_domains": {"storage_domain": [{"name": storage}]},
    }


def random_name(stem: str) -> str:
    """As in nginx-k3bd: for who gives none."""
    return f"{stem}-{''.join(random.choices(_LETTERS, k=4))}"  # noqa: S311 - nothing secret


def properties_body(properties: Mapping[str, str]) -> dict[str, Any]:
    found = [{"name": name, "value": value} for name, value in properties.items() if value]
    return {"custom_properties": {"custom_property": found}}


def machine_body(name: str, cluster: str, memory: int, cpus: int, template: str = "Blank") -> dict[str, Any]:
    """``memory`` in bytes; 0: the template's."""
    by = "id" if is_id(template) else "name"
    body: dict[str, Any] = {"name": name, "cluster": {"name": cluster}, "template": {by: template}}
    if memory:
        body |= {"memory": memory, "memory_policy": {"guaranteed": memory, "max": 4 * memory}}
    if cpus:
        body["cpu"] = {"topology": {"sockets": 1, "cores": cpus, "threads": 1}}
    return body


def words_of(values: Sequence[str]) -> str:
    """A command as the engine takes one: a JSON list, in which no semicolon may stand as it is."""
    return json.dumps(list(values)).replace(";", "\\u003b") if values else ""


def environment_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """NAME alone passes on this program's own. Raises BadOption."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals and name not in os.environ:
            reason = "write NAME=VALUE, or the NAME of a variable that is set here"
            raise BadOption(option="--env", text=pair, reason=reason)
        found[name] = value if equals else os.environ[name]
    return found


def environment_of(pairs: Sequence[str]) -> str:
    """As the engine takes it. Raises BadOption."""
    found = environment_pairs(pairs)
    return json.dumps(found).replace(";", "\\u003b") if found else ""


def create(resources: Resources, wanted: Wanted) -> Made:
    """The machine with its disks and NICs; nothing of it is left when a step fails. Raises what the engine refuses
    with."""
    profiles = [_profile(resources, name) for name in wanted.networks]
    there = _existing(resources, wanted.volumes)
    if wanted.storage or any(not each.discarded and each.disk not in there for each in wanted.volumes):
        wanted = replace(wanted, storage=default_storage(resources, wanted.storage))
    with undo_on_failure() as undo:
        with unanswered_machine(resources):
            vm = resources.add("vms", wanted.body)
        found = frozenset(each.id for each in there.values())
        undo.add("remove the machine", partial(remove_machine, resources, vm.id, keep=found))
        if vm.text("status") == "image_locked":
            wait_for_new_vm(resources, vm.id)
        for number, profile in enumerate(profiles, start=1):
            nic = {"name": f"nic{number}", "vnic_profile": {"id": profile}}
            resources.add(f"vms/{vm.id}/nics", nic)
        own, boots = [], _boots_from_its_template(resources, vm)
        for number, volume in enumerate(each for each in wanted.volumes if not each.discarded):
            first = wanted.from_disk and not (number or boots)
            disk = _attach(resources, wanted, vm, volume, there, undo, bootable=first)
            if volume.disk not in there and not (volume.disk and volume.path):
                own.append(disk)
    return Made(vm=vm, own_disks=tuple(own), found_disks=found)


def _boots_from_its_template(resources: Resources, vm: Record) -> bool:
    below = Below(path=f"vms/{vm.id}/diskattachments", element="disk_attachment", noun="disk")
    return any(each.text("bootable") == "true" for each in resources.list(below))


@contextmanager
def taken_back(resources: Resources, made: Made) -> Iterator[None]:
    """Around what shall be done with a new machine: where the engine refuses it, or it fails, nothing is left. Of one
    whose start is only waited for no more, the user is told that it is there."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"\ncovirt: {made.vm.name} was made, and goes on starting\n")
        raise
    except (EngineRefused, JobFailed):
        remove_machine(resources, made.vm.id, keep=made.found_disks)
        raise


def _existing(resources: Resources, volumes: Sequence[Volume]) -> dict[str, Record]:
    """Disks that are there, by what they are called; one with a size may be missing, and is made then."""
    found = {}
    for volume in volumes:
        if volume.disk:
            try:
                found[volume.disk] = resources.find(DISKS, volume.disk)
            except NoSuchName:
                if not volume.size_bytes:
                    raise
            else:
                _require_room(found[volume.disk], volume)
    return found


def _require_room(disk: Record, volume: Volume) -> None:
    """Raises BadOption for one that is there and smaller than what was typed."""
    size = disk.whole("provisioned_size")
    if size < volume.size_bytes:
        reason = (
            f"the disk is there already and has only {readable_size(size)}; leave the size out, or make it larger:"
            f" covirt disk resize {volume.disk} SIZE"
        )
        raise BadOption(option="--volume" if volume.path else "--disk", text=volume.disk, reason=reason)


def _attach(
    resources: Resources, wanted: Wanted, vm: Record, volume: Volume, there: Mapping[str, Record], undo: UndoStack,
    *, bootable: bool
) -> str:  # fmt: skip
    if volume.disk in there:
        disk: dict[str, object] = {"id": there[volume.disk].id}
    else:
        size = volume.size_bytes or _DEFAULT_SIZE
        disk = new_disk(disk_name(wanted.name, volume), size, storage=wanted.storage, disk_format=wanted.disk_format)
    words = {"interface": _INTERFACE, "active": "true", "bootable": str(bootable).lower(), "disk": disk}
    made = resources.add(f"vms/{vm.id}/diskattachments", words)
    if volume.disk not in there:
        undo.add("remove its disk", partial(remove_disk, resources, made.id))
        wait_for_disk(resources, made.id)
    return made.id


def disk_name(machine: str, volume: Volume) -> str:
    """Of a new one that has no name: the machine's, and the last part of its place."""
    return volume.disk or "-".join(filter(None, (machine, PurePosixPath(volume.path).name))) or machine


def volume_map(machine: str, volumes: Sequence[Volume]) -> str:
    pairs = ((each.path, DISCARD if each.discarded else disk_name(machine, each)) for each in volumes)
    return ",".join(f"{path}:{disk}" for path, disk in pairs)


def _profile(resources: Resources, network: str) -> str:
    """The vNIC profile of the network's name, else any of its own."""
    found = resources.find(NETWORKS, network)
    profiles = [each for each in resources.list(PROFILES) if each.text("network.id") == found.id]
    if not profiles:
        raise BadOption(option="--net", text=network, reason="the network has no vNIC profile")
    return next((each.id for each in profiles if each.name == network), profiles[0].id)


def default_cluster(resources: Resources, name: str | None) -> str:
    """Raises NoneOfThem, and Unsaid where there are several to choose from."""
    if name:
        return name
    found = [each.name for each in resources.list(CLUSTERS)]
    if "Default" in found:
        return "Default"
    if len(found) == 1:
        return found[0]
    if not found:
        raise NoneOfThem(noun="cluster", option="--cluster")
    raise Unsaid(option="--cluster", names=", ".join(found))


def default_storage(resources: Resources, name: str | None) -> str:
    """For what is new. Raises NoSuchName, NoneOfThem, and Unsaid where there are several to choose from."""
    if name:
        return resources.find(STORAGE, name).name
    found = [each.name for each in resources.list(STORAGE, search="status = active")]
    if not found:
        raise NoneOfThem(noun="active storage domain", option="--storage")
    if len(found) > 1:
        raise Unsaid(option="--storage", names=", ".join(found))
    return found[0]
