# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container image and its configuration, read with care from the JSON of strangers.

Field names of the JSON: OCI image specification, "Image Configuration"; Healthcheck is Docker's addition to it.
"""

import json
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# What uname calls a machine, in the words of OCI images (Go's GOARCH).
_GOARCH: Final = {
    "x86_64": "amd64", "i386": "386", "i686": "386", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm",
    "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "loongarch64": "loong64", "mips64": "mips64le",
}  # fmt: skip
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_NESTING_LIMIT: Final = 50  # real configurations have five levels
_TEXT_LIMIT: Final = 1 << 20  # characters of any one string: a kernel takes no longer argument list anyway


class BadConfig(ValueError):
    """The JSON is not what the specification says; the message names the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """How to run the image, as its maker says. ``raw`` is the whole OCI image configuration."""

    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_directory: str
    user: str
    stop_signal: str | None
    exposed_ports: tuple[str, ...]
    labels: Mapping[str, str]
    healthcheck: Mapping[str, Any] | None
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerImage:
    """One image file. ``digest`` is that of the OCI manifest; ``name`` is None outside the store."""

    name: str | None
    path: Path
    digest: str
    architecture: str
    size_bytes: int
    volumes: tuple[str, ...]
    config: ImageConfig
    filesystem: str
    filesystem_bytes: int


def host_architecture() -> str:
    """This machine in the words of OCI images: "amd64", "arm64", and so on."""
    machine = platform.machine()
    return _GOARCH.get(machine, machine)


def is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def text(value: object, where: str) -> str:
    """``value`` if it is a string that may become an argument or a path: bounded, and without a zero byte."""
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value or len(value) > _TEXT_LIMIT or not _is_unicode(value):
        raise BadConfig(f"{where} is not a plain string")
    return value


def json_object(data: bytes) -> Mapping[str, Any]:
    """Parse a JSON object whose nesting is bounded, so that it can also be written again. Raises BadConfig."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadConfig("it is no JSON") from error
    level: list[Any] = [value]
    for _ in range(_NESTING_LIMIT):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return mapping(value, "it")
    raise BadConfig("its JSON is nested too deeply")


def _inside(value: object) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _is_unicode(value: str) -> bool:
    # JSON can spell half of a surrogate pair, which no program's argument can hold.
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def texts(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadConfig(f"{where} is not a list of strings")
    return tuple(text(item, where) for item in value)


def mapping(value: object, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadConfig(f"{where} is not an object")
    return value


def parse_config(raw: Mapping[str, Any]) -> tuple[ImageConfig, tuple[str, ...]]:
    """Read an OCI image configuration; gives the config and the declared volumes. Raises BadConfig."""
    section = mapping(raw.get("config"), "config")
    environment = []
    for line in texts(section.get("Env"), "config.Env"):
        name, separator, value = line.partition("=")
        if name and separator:
            environment.append((name, value))
    labels = mapping(section.get("Labels"), "config.Labels")
    healthcheck = section.get("Healthcheck")
    config = ImageConfig(
        entrypoint=_arguments(section.get("Entrypoint"), "config.Entrypoint"),
        command=_arguments(section.get("Cmd"), "config.Cmd"),
        environment=tuple(environment),
        working_directory=text(section.get("WorkingDir"), "config.WorkingDir") or "/",
        user=text(section.get("User"), "config.User"),
        stop_signal=text(section.get("StopSignal"), "config.StopSignal") or None,
        exposed_ports=_names(section.get("ExposedPorts"), "config.ExposedPorts"),
        labels={text(key, "label"): text(value, "config.Labels") for key, value in labels.items()},
        healthcheck=None if healthcheck is None else mapping(healthcheck, "config.Healthcheck"),
        raw=raw,
    )
    return config, _names(section.get("Volumes"), "config.Volumes")


def _names(value: object, where: str) -> tuple[str, ...]:
    return tuple(sorted(text(name, where) for name in mapping(value, where)))


def _arguments(value: object, where: str) -> tuple[str, ...]:
    # Very old images hold one string here instead of a list: Docker ran it through the shell.
    return ("/bin/sh", "-c", value) if isinstance(value, str) else texts(value, where)
