# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Names that a device has for one run, its alias and an interface's name inside: they stay when others go."""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final, TypeVar

from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.domain_xml.model_devices import Console, Disk, Filesystem, Interface
from covirt.virtocid.driver.domain_xml.parse_devices import USER_ALIAS_PREFIX

Named = TypeVar("Named", bound=Disk | Filesystem | Interface | Console)

_NUMBER: Final = re.compile(r"[0-9]{1,9}")


def with_run_names(config: DomainConfig) -> DomainConfig:
    """The same with a name for every device that has none yet; those there are stay."""
    return replace(
        config,
        disks=_with_aliases(config.disks, "disk"),
        filesystems=_with_aliases(config.filesystems, "fs"),
        interfaces=_with_names_inside(_with_aliases(config.interfaces, "net")),
        consoles=_with_aliases(config.consoles, "console"),
    )


def without_run_names(config: DomainConfig) -> DomainConfig:
    """What a definition keeps: names that its author chose."""
    return replace(
        config,
        disks=tuple(stored_device(device) for device in config.disks),
        filesystems=tuple(stored_device(device) for device in config.filesystems),
        interfaces=tuple(stored_device(device) for device in config.interfaces),
        consoles=tuple(replace(stored_device(device), path=None) for device in config.consoles),
    )


def stored_device(device: Named) -> Named:
    """One device as a definition keeps it."""
    alias = device.alias if device.alias and device.alias.startswith(USER_ALIAS_PREFIX) else None
    if isinstance(device, Interface):
        return replace(device, alias=alias, guest_actual=None)
    return replace(device, alias=alias)


def _with_aliases(devices: tuple[Named, ...], prefix: str) -> tuple[Named, ...]:
    """``net0`` for the first; a number that was given to one that is still there is not given again."""
    numbers = [number for device in devices if (number := _number(device.alias, prefix)) is not None]
    named = []
    for index, device in enumerate(devices):
        if device.alias is None:
            number = max(index, 1 + max(numbers, default=-1))
            numbers.append(number)
            device = replace(device, alias=f"{prefix}{number}")
        named.append(device)
    return tuple(named)


def _number(alias: str | None, prefix: str) -> int | None:
    rest = alias.removeprefix(prefix) if alias and alias.startswith(prefix) else ""
    return int(rest) if _NUMBER.fullmatch(rest) else None


def _with_names_inside(interfaces: tuple[Interface, ...]) -> tuple[Interface, ...]:
    """``eth`` and the interface's place, or the lowest free number where that is taken, as the kernel does it."""
    taken = {name for each in interfaces if (name := each.guest_actual or each.guest_name)}
    named = []
    for index, interface in enumerate(interfaces):
        if interface.guest_actual is None:
            name = interface.guest_name or _free_name(index, taken)
            taken.add(name)
            interface = replace(interface, guest_actual=name)
        named.append(interface)
    return tuple(named)


def _free_name(index: int, taken: Collection[str]) -> str:
    numbers: Iterable[int] = (index, *range(len(taken) + 1))
    return next(name for number in numbers if (name := f"eth{number}") not in taken)
