# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Custom properties that describe a container, from oVirt's removed container support and ours, as typed settings."""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from covirt.host.virt.container_errors import BadContainerProperty
from covirt.host.virt.document import is_xml_text

Value = TypeVar("Value")

_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")  # also an XML name, which it becomes
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOCKER: Final = "docker"  # the only one oVirt had: the host's default runtime
_STATELESS: Final = "stateless"


class Property(StrEnum):
    """Their names, as an engine's administrator allows them with UserDefinedVMProperties."""

    TYPE = "containerType"
    IMAGE = "containerImage"
    VOLUMES = "volumeMap"
    COMMAND = "containerCommand"
    ENVIRONMENT = "containerEnvironment"
    RESTART = "containerRestart"
    ROOT = "containerRoot"
    DISCARD = "containerDiscard"
    SECRETS = "containerSecrets"  # the engine's to read: their values come beside the XML


class RestartPolicy(StrEnum):
    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeLabel:
    """A drive, and where it is mounted: a label that the image's volumes are searched for, or a path."""

    drive: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerProperties:
    """What the properties say; None and empty where they say nothing."""

    runtime: str | None = None
    image: str | None = None
    volumes: tuple[VolumeLabel, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    restart: RestartPolicy | None = None
    root_drive: str | None = None
    discarded: tuple[str, ...] = ()


def read_properties(custom: Mapping[str, str], *, drives: Iterable[str]) -> ContainerProperties:
    """``drives``: target names of the disks (vda, …), which tell the two orders of volumeMap apart.

    Raises BadContainerProperty, which names the property and what is wrong.
    """
    known = frozenset(drives)
    if not custom.get(Property.TYPE, _DOCKER).strip():
        raise BadContainerProperty(name=Property.TYPE, reason="it is empty; give it a runtime's name, or docker")

    def read(name: Property, reader: Callable[[str], Value], default: Value) -> Value:
        text = custom.get(name, "").strip()
        if not text:
            return default
        try:
            return reader(text)
        except ValueError as error:
            raise BadContainerProperty(name=name, reason=error) from error
        except RecursionError as error:
            raise BadContainerProperty(name=name, reason="it is nested too deep") from error

    return ContainerProperties(
        runtime=read(Property.TYPE, _runtime, None),
        image=read(Property.IMAGE, _image, None),
        volumes=read(Property.VOLUMES, lambda text: _volumes(text, known), ()),
        command=read(Property.COMMAND, _command, ()),
        environment=read(Property.ENVIRONMENT, _environment, ()),
        restart=read(Property.RESTART, _restart, None),
        root_drive=read(Property.ROOT, lambda text: _root(text, known), None),
        discarded=read(Property.DISCARD, _discarded, ()),
    )


def _runtime(text: str) -> str | None:
    if text == _DOCKER:
        return None
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a runtime; docker stands for the host's default")
    return text


def _image(text: str) -> str:
    name = text.removeprefix("docker://")
    if not name or any(character.isspace() or not character.isprintable() for character in name):
        raise ValueError(f"{text!r} is not the name of a container image")
    return name


def _volumes(text: str, drives: frozenset[str]) -> tuple[VolumeLabel, ...]:
    pairs = [_volume(pair.strip(), drives) for pair in text.split(",") if pair.strip()]
    used = [pair.drive for pair in pairs]
    twice = next((drive for drive in used if used.count(drive) > 1), None)
    if twice is not None:
        raise ValueError(f"the drive {twice} is mapped twice")
    return tuple(pairs)


def _volume(pair: str, drives: frozenset[str]) -> VolumeLabel:
    """``data:vda``, as oVirt's code had it, or ``vda:data``, as its description said. The drive's name decides."""
    first, colon, second = (part.strip() for part in pair.partition(":"))
    if not colon or not first or not second:
        raise ValueError(f"{pair!r} is not a pair such as data:vda")
    if second in drives:
        label, drive = first, second
    elif first in drives:
        label, drive = second, first
    else:
        raise ValueError(f"neither {first!r} nor {second!r} is a disk of the container")
    if not (label.startswith("/") or _LABEL.fullmatch(label)):
        raise ValueError(f"{label!r} is neither a label such as data nor an absolute path")
    return VolumeLabel(drive=drive, label=label)


def _command(text: str) -> tuple[str, ...]:
    if not text.startswith("["):
        return tuple(shlex.split(text))
    words = json.loads(text)
    if not isinstance(words, list) or not all(_is_text(word) for word in words) or not words:
        raise ValueError("it is not a list of texts")
    return tuple(words)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and is_xml_text(value)


def _environment(text: str) -> tuple[tuple[str, str], ...]:
    if text.startswith("{"):
        table = json.loads(text)
        if not all(_is_text(value) for value in table.values()):
            raise ValueError("its values are not all texts")
        pairs = list(table.items())
    else:
        pairs = [_assignment(word) for word in shlex.split(text)]
    for name, _ in pairs:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a variable")
    return tuple(pairs)


def _assignment(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise ValueError("each of its words has to be NAME=VALUE, quoted as in a shell when it has spaces")
    return name, value


def _restart(text: str) -> RestartPolicy:
    try:
        return RestartPolicy(text)
    except ValueError:
        raise ValueError(f"it must be one of {', '.join(RestartPolicy)}, and is {text!r}") from None


def _root(text: str, drives: frozenset[str]) -> str | None:
    if text == _STATELESS:
        return None
    if text not in drives:
        raise ValueError(f"{text!r} is neither {_STATELESS} nor a disk of the container")
    return text


def _discarded(text: str) -> tuple[str, ...]:
    paths = tuple(path.strip() for path in text.split(",") if path.strip())
    for path in paths:
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is not an absolute path")
    return paths
