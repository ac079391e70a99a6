# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From an engine's XML to one that a hypervisor of this host can start.

``check`` changes nothing and waits for nothing: what it refuses is refused in the answer to VM.create. ``prepare``
may wait for storage and belongs to the start that follows.
"""

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from lxml import etree

from covirt.common.undo import UndoStack
from covirt.host.virt.container_support import ContainerSupport
from covirt.host.virt.container_xml import apply_properties, chosen_runtime
from covirt.host.virt.disk_references import UNPREPARED, find_references, point_at_file, prepare_references
from covirt.host.virt.errors import NoPayloads
from covirt.host.virt.host_reach import HostReach
from covirt.host.virt.kinds import Kind
from covirt.host.virt.machine_xml import MachineHost, adapt_machine
from covirt.host.virt.ovirt_metadata import read_vm_facts
from covirt.host.virt.payloads import insert_disc, read_payload
from covirt.host.virt.saved_xml import without_last_run
from covirt.host.virt.vm_block import block_of, reference_device
from covirt.host.virt.volumes import VolumeRef, Volumes


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One for all guests; it keeps nothing of any."""

    volumes: Volumes
    containers: ContainerSupport
    machine_host: Callable[[], MachineHost]
    reach: HostReach = field(default_factory=HostReach)

    def check(self, root: etree._Element, kind: Kind) -> None:
        """Raises BadVolumeReference, BeyondTheGuest, BadPayload, and for a container what it is refused with.

        The <domain> stays as it is.
        """
        payload = read_payload(root)
        if payload is not None and kind is Kind.CONTAINER:
            raise NoPayloads(drive=payload.drive)
        facts, changed = read_vm_facts(root), copy.deepcopy(root)
        for reference in find_references(changed, facts):
            point_at_file(reference.disk, UNPREPARED)
        if payload is not None:
            insert_disc(changed, payload.drive, UNPREPARED)
        self.reach.check(changed, prepared=(UNPREPARED,))
        if kind is Kind.CONTAINER:
            apply_properties(changed, facts.custom)
            self.reach.check(changed, prepared=(UNPREPARED,))
            self.containers.check(chosen_runtime(changed))

    def fit_saved(self, root: etree._Element, *, prepared: Collection[str]) -> None:
        """Of a machine that begins again from its kept state. Raises BeyondTheGuest."""
        without_last_run(root, prepared=prepared)
        self.reach.check(root, prepared=prepared)
        adapt_machine(root, self.machine_host())

    def volumes_of(self, root: etree._Element) -> tuple[VolumeRef, ...]:
        """What prepare() takes hold of."""
        return tuple(dict.fromkeys(reference.ref for reference in find_references(root, read_vm_facts(root))))

    def prepare(self, root: etree._Element, kind: Kind, *, vm_id: str, undo: UndoStack) -> tuple[VolumeRef, ...]:
        """Make the <domain> fit; its volumes are prepared for ``vm_id``, and given back by ``undo``."""
        self.check(root, kind)
        facts = read_vm_facts(root)
        found = find_references(root, facts)
        prepare_references(found, self.volumes, user=vm_id, undo=undo)
        for reference in found:
            if facts.device(devtype="disk", name=reference.name) is None:
                block_of(root).append(reference_device(name=reference.name, ref=reference.ref))
        if kind is Kind.CONTAINER:
            apply_properties(root, facts.custom)
        else:
            adapt_machine(root, self.machine_host())
        return tuple(dict.fromkeys(reference.ref for reference in found))
