# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Custom properties that make a machine a container, as typed settings.

The host reads some of them by itself (docs/host-containers.md): the engine checks their form, so that a mistake is
refused when it is made and not at the next start.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from covirt.engine.model.hardware import CustomProperty
from covirt.engine.vms.container_secrets import GivenSecret, given_secrets
from covirt.engine.vms.errors import BadContainer

Value = TypeVar("Value")

DISCARD: Final = "discard"
_DOCKER: Final = "docker"  # the host's default runtime
_STATELESS: Final = "stateless"
_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_DRIVE: Final = re.compile(r"[vsh]d[a-z]{1,2}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESTARTS: Final = ("never", "on-failure", "always")


class Property(StrEnum):
    """Their names as custom properties of a machine."""

    TYPE = "containerType"
    IMAGE = "containerImage"
    VOLUMES = "volumeMap"
    COMMAND = "containerCommand"
    ENVIRONMENT = "containerEnvironment"
    RESTART = "containerRestart"
    ROOT = "containerRootDisk"
    SECRETS = "containerSecrets"


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedVolume:
    """``place`` is a path, or a label for the volume of the image whose path ends in it; ``disk`` a disk's drive name
    (vda), name or id."""

    place: str
    disk: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSettings:
    """``runtime`` None is the host's default; ``root_disk`` None keeps nothing of what is written outside of
    volumes. Command, environment and restart are as the host reads them."""

    runtime: str | None
    image: str = ""
    volumes: tuple[MappedVolume, ...] = ()
    discarded: tuple[str, ...] = ()
    command: str = ""
    environment: str = ""
    restart: str = ""
    root_disk: str | None = None
    secrets: tuple[GivenSecret, ...] = ()


def is_container(properties: tuple[CustomProperty, ...]) -> bool:
    """Whether a machine with these is one: by the presence of its type, as for hosts."""
    return any(each.name == Property.TYPE for each in properties)


def stray_properties(properties: tuple[CustomProperty, ...]) -> list[str]:
    """Those that say something to containers only."""
    return [each.name for each in properties if each.name in tuple(Property)]


def container_settings(properties: tuple[CustomProperty, ...], *, action: str) -> ContainerSettings:
    """Raises BadContainer, which names the property and what is wrong."""
    values = {each.name: each.value.strip() for each in properties}

    def read(name: Property, reader: Callable[[str], Value], default: Value) -> Value:
        try:
            return reader(values[name]) if values.get(name) else default
        except (ValueError, RecursionError) as error:
            raise BadContainer(action=action, property=name, reason=error) from error

    nothing: tuple[tuple[str, str], ...] = ()
    no_secrets: tuple[GivenSecret, ...] = ()
    pairs = read(Property.VOLUMES, _pairs, nothing)
    return ContainerSettings(
        runtime=read(Property.TYPE, _runtime, None),
        image=values.get(Property.IMAGE, ""),
        volumes=tuple(MappedVolume(place=place, disk=disk) for place, disk in pairs if disk != DISCARD),
        discarded=tuple(place for place, disk in pairs if disk == DISCARD),
        command=read(Property.COMMAND, _command, ""),
        environment=read(Property.ENVIRONMENT, _environment, ""),
        restart=read(Property.RESTART, _restart, ""),
        root_disk=read(Property.ROOT, _root, None),
        secrets=read(Property.SECRETS, lambda text: _secrets(text, values.get(Property.ENVIRONMENT, "")), no_secrets),
    )


def _runtime(text: str) -> str | None:
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a runtime; docker stands for the host's default")
    return None if text == _DOCKER else text


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = tuple(_pair(each.strip()) for each in text.split(",") if each.strip())
    disks = [disk for _, disk in pairs if disk != DISCARD]
    for found in (disks, [place for place, _ in pairs]):
        twice = next((each for each in found if found.count(each) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} is mapped twice")
    return pairs


def _pair(text: str) -> tuple[str, str]:
    """data:vda as oVirt's code had it, or vda:data as its description said: what looks like a drive is the disk."""
    first, colon, second = (part.strip() for part in text.partition(":"))
    if not colon or not first or not second:
        raise ValueError(f"{text!r} is not a pair such as data:vda")
    swapped = (_DRIVE.fullmatch(first) or second.startswith("/")) and not _DRIVE.fullmatch(second)
    place, disk = (second, first) if swapped and second != DISCARD else (first, second)
    if not (place.startswith("/") or _LABEL.fullmatch(place)):
        raise ValueError(f"{place!r} is neither a label such as data nor an absolute path")
    if disk == DISCARD and not place.startswith("/"):
        raise ValueError(f"{place!r} is no absolute path, which {DISCARD} needs")
    return place, disk


def _command(text: str) -> str:
    """A shell's words, or a JSON list."""
    if not text.startswith("["):
        shlex.split(text)
        return text
    words = json.loads(text)
    if not words or not all(isinstance(word, str) for word in words):
        raise ValueError("it is not a list of texts")
    return text


def _environment(text: str) -> str:
    """NAME=value words, or a JSON object."""
    for name in _variables(text):
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a variable")
    return text


def _variables(text: str) -> list[str]:
    return _names(json.loads(text)) if text.startswith("{") else [_name(word) for word in shlex.split(text)]


def _secrets(text: str, environment: str) -> tuple[GivenSecret, ...]:
    found, variables = given_secrets(text), _variables(environment)
    twice = next((each.variable for each in found if each.variable in variables), None)
    if twice is not None:
        raise ValueError(f"{twice} is set by {Property.ENVIRONMENT.value}, too")
    return found


def _names(table: Mapping[str, object]) -> list[str]:
    if not all(isinstance(value, str) for value in table.values()):
        raise ValueError("its values are not all texts")
    return list(table)


def _name(word: str) -> str:
    name, equals, _ = word.partition("=")
    if not equals:
        raise ValueError("each of its words has to be NAME=VALUE, quoted as in a shell when it has spaces")
    return name


def _restart(text: str) -> str:
    if text not in _RESTARTS:
        raise ValueError(f"it must be one of {', '.join(_RESTARTS)}, and is {text!r}")
    return text


def _root(text: str) -> str | None:
    return None if text == _STATELESS else text
