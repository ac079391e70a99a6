# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What many nodes have in them: references, names, versions."""

from typing import Any

from covirt.engine.api.node import Node, Value
from covirt.engine.model.entity import Entity, Version

# Where the members of a type lie, for the hrefs of references.
_PATHS = {
    "AffinityLabel": "affinitylabels",
    "Cluster": "clusters",
    "CpuProfile": "cpuprofiles",
    "DataCenter": "datacenters",
    "Disk": "disks",
    "DiskProfile": "diskprofiles",
    "Group": "groups",
    "Host": "hosts",
    "Icon": "icons",
    "InstanceType": "instancetypes",
    "Job": "jobs",
    "MacPool": "macpools",
    "Network": "networks",
    "NetworkFilter": "networkfilters",
    "Role": "roles",
    "SchedulingPolicy": "schedulingpolicies",
    "StorageConnection": "storageconnections",
    "StorageDomain": "storagedomains",
    "Tag": "tags",
    "Template": "templates",
    "User": "users",
    "Vm": "vms",
    "VnicProfile": "vnicprofiles",
}


def reference(kind: str, identifier: str | None) -> Node | None:
    """With an href, always: clients follow it."""
    if not identifier:
        return None
    return Node(type=kind, id=identifier, path=f"{_PATHS[kind]}/{identifier}")


def named(entity: Entity) -> dict[str, Value]:
    """What people call it."""
    return {"name": entity.name, "description": entity.description, "comment": entity.comment}


def version(value: Version | None) -> dict[str, Value] | None:
    if value is None:
        return None
    return {
        "major": value.major,
        "minor": value.minor,
        "build": value.build,
        "revision": value.revision,
        "full_version": value.full_version or None,
    }


def version_of(text: str) -> dict[str, Value] | None:
    """Of a program's version as it says it: 9.0.0-1."""
    numbers = [int(part) for part in text.partition("-")[0].split(".") if part.isdecimal()]
    if not numbers:
        return {"full_version": text} if text else None
    names = ("major", "minor", "build", "revision")
    return {**dict(zip(names, numbers, strict=False)), "full_version": text}


def properties(pairs: Any) -> list[Value]:
    """Name and value, as custom properties and options have them."""
    return [{"name": name, "value": value} for name, value in pairs]
