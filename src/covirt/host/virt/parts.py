# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a Vm needs of the rest of the agent, as small interfaces."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lxml import etree

from covirt.common.undo import UndoStack
from covirt.host.virt.kinds import Kind
from covirt.host.virt.payloads import PayloadDiscs
from covirt.host.virt.records import Records
from covirt.host.virt.volumes import VolumeRef, Volumes
from covirt.hostapi.json import JsonValue


class EventSink(Protocol):
    def publish(self, topic: str, params: Mapping[str, JsonValue]) -> None:
        """See covirt.host.events."""
        ...


class Hypervisor(Protocol):
    """One libvirt."""

    def get(self) -> Any:
        """The open virConnect. Raises HypervisorUnavailable."""
        ...


class Preparer(Protocol):
    """Makes an engine's XML fit this host, and gets hold of what it refers to. Each raises its own errors."""

    def check(self, root: etree._Element, kind: Kind) -> None:
        """Whether the <domain> can be prepared, as far as that is known at once; changes nothing."""
        ...

    def volumes_of(self, root: etree._Element) -> tuple[VolumeRef, ...]:
        """What prepare() will take hold of."""
        ...

    def prepare(self, root: etree._Element, kind: Kind, *, vm_id: str, undo: UndoStack) -> tuple[VolumeRef, ...]:
        """Change the <domain> in place; what was prepared for it."""
        ...

    def fit_saved(self, root: etree._Element, *, prepared: Collection[str]) -> None:
        """Change in place the <domain> that libvirt keeps with a machine's state; its disks may be ``prepared``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VmParts:
    hypervisors: Mapping[Kind, Hypervisor]
    events: EventSink
    records: Records
    volumes: Volumes
    preparer: Preparer
    discs: PayloadDiscs
