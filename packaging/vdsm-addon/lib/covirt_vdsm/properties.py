# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Custom properties of a virtual machine that make it a container, read and checked."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Optional

from covirt_vdsm.dialect import TYPE_PROPERTY

# What oVirt's removed container support had for "the host's default".
DEFAULT_RUNTIME: Final = "docker"
_STATELESS: Final = "stateless"
POLICIES: Final = ("never", "on-failure", "always")
_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_DRIVE: Final = re.compile(r"(?:vd|sd|hd)[a-z]{1,2}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What XML cannot have, or not without becoming something else.
_NO_TEXT: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class BadProperty(ValueError):
    """The property, what is wrong with it, and what would be right."""


@dataclass(frozen=True)
class Properties:
    """What the properties say; empty where they say nothing."""

    runtime: str
    image: str = ""
    # Drive and label, or drive and path.
    volumes: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    restart: str = ""
    # The drive that keeps what is written outside of volumes.
    root_drive: str = ""
    discarded: tuple[str, ...] = ()


def read(custom: Mapping[str, str], drives: frozenset[str]) -> Optional[Properties]:
    """None without containerType. ``drives`` are those the machine has. Raises BadProperty."""

    def value(name: str) -> str:
        return _text(custom.get(name, ""), name).strip()

    if TYPE_PROPERTY not in custom:
        return None
    runtime = value(TYPE_PROPERTY)
    if not runtime:
        raise BadProperty(f"containerType: it is empty; give it a runtime's name, or {DEFAULT_RUNTIME}")
    if not _WORD.fullmatch(runtime):
        raise BadProperty(f"containerType: {runtime!r} is not the name of a runtime, such as docker, runc or crun")
    return Properties(
        runtime=runtime,
        image=_image(value("containerImage")),
        volumes=_volumes(value("volumeMap"), drives),
        command=_command(value("containerCommand")),
        environment=_environment(value("containerEnvironment")),
        restart=_restart(value("containerRestart")),
        root_drive=_root(value("containerRoot"), drives),
        discarded=_discarded(value("containerDiscard")),
    )


def _text(text: str, name: str) -> str:
    found = _NO_TEXT.search(text)
    if found:
        raise BadProperty(f"{name}: it has the character {found[0]!r}, which a definition cannot have")
    return text


def is_disk_id(image: str) -> bool:
    return bool(_UUID.fullmatch(image))


def is_drive(image: str) -> bool:
    return bool(_DRIVE.fullmatch(image))


def _image(text: str) -> str:
    name = text[len("docker://") :] if text.startswith("docker://") else text
    if name and not _WORD.fullmatch(name):
        raise BadProperty(
            f"containerImage: {text!r} is neither the name of an image on the host (virtocid-image list), nor the ID "
            "of a disk of this machine, nor a drive such as vda"
        )
    return name


def _volumes(text: str, drives: frozenset[str]) -> tuple[tuple[str, str], ...]:
    found = [_volume(pair.strip(), drives) for pair in text.split(",") if pair.strip()]
    used = [drive for drive, _label in found]
    for drive in used:
        if used.count(drive) > 1:
            raise BadProperty(f"volumeMap: the drive {drive} is mapped twice")
    return tuple(found)


def _volume(pair: str, drives: frozenset[str]) -> tuple[str, str]:
    """``data:vda`` as oVirt's code had it, ``vda:data`` as its description said: a drive of the machine decides."""
    first, colon, second = (part.strip() for part in pair.partition(":"))
    if not colon or not first or not second:
        raise BadProperty(f"volumeMap: {pair!r} is not a pair such as data:vda")
    if second in drives or (first not in drives and is_drive(second)):
        drive, label = second, first
    elif first in drives or is_drive(first):
        drive, label = first, second
    else:
        raise BadProperty(f"volumeMap: in {pair!r} is no drive such as vda")
    if not (_LABEL.fullmatch(label) or (label.startswith("/") and ".." not in label.split("/"))):
        raise BadProperty(f"volumeMap: {label!r} is neither a label such as data nor a path such as /srv/data")
    return drive, label


def _command(text: str) -> tuple[str, ...]:
    if text.startswith("["):
        words = _json(text, "containerCommand")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise BadProperty("containerCommand: it is not a list of texts")
        return tuple(_text(word, "containerCommand") for word in words)
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise BadProperty(f"containerCommand: {error}") from error


def _environment(text: str) -> tuple[tuple[str, str], ...]:
    """JSON, or words as a shell's: NAME=VALUE."""
    if not text:
        return ()
    table = _json(text, "containerEnvironment") if text.startswith("{") else _assignments(text)
    if not isinstance(table, dict) or not all(isinstance(each, str) for each in table.values()):
        raise BadProperty('containerEnvironment: it is not an object of texts such as {"NAME": "value"}')
    for name in table:
        if not _VARIABLE.fullmatch(name):
            raise BadProperty(f"containerEnvironment: {name!r} is not the name of a variable")
    return tuple((name, _text(value, "containerEnvironment")) for name, value in table.items())


def _assignments(text: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadProperty(f"containerEnvironment: {error}") from error
    for number, word in enumerate(words, 1):
        if "=" not in word:  # not shown: it may be half of a secret
            raise BadProperty(f"containerEnvironment: word {number} is not NAME=VALUE; quote a value with spaces")
    return {name: value for name, _equals, value in (word.partition("=") for word in words)}


def _root(text: str, drives: frozenset[str]) -> str:
    if text in ("", _STATELESS):
        return ""
    if text not in drives:
        raise BadProperty(f"containerRoot: {text!r} is neither {_STATELESS} nor a drive of this machine")
    return text


def _json(text: str, name: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadProperty(f"{name}: it is not JSON (a ';' in a text is written \\u003b): {error}") from error


def _restart(text: str) -> str:
    if text and text not in POLICIES:
        raise BadProperty(f"containerRestart: {text!r} is none of {', '.join(POLICIES)}")
    return text


def _discarded(text: str) -> tuple[str, ...]:
    paths = tuple(path.strip() for path in text.split(",") if path.strip())
    for path in paths:
        if not path.startswith("/") or ".." in path.split("/"):
            raise BadProperty(f"containerDiscard: {path!r} is not a path such as /var/cache")
    return paths
