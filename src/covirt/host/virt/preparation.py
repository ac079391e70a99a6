# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From an engine's XML to one that a hypervisor of this host can start, and back to storage what a guest had.

``check`` changes nothing and waits for nothing: what it refuses is refused in the answer to VM.create. ``prepare``
may wait for storage and belongs to the start that follows.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from covirt.common.errors import Error
from covirt.common.undo import UndoStack
from covirt.host.virt.container_support import ContainerSupport
from covirt.host.virt.container_xml import apply_properties, chosen_runtime
from covirt.host.virt.disk_references import find_references, known_references, prepare_references
from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.machine_xml import MachineHost, adapt_machine
from covirt.host.virt.ovirt_metadata import read_vm_facts
from covirt.host.virt.vm_block import block_of, reference_device
from covirt.host.virt.volumes import VolumeRef, Volumes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One for all guests; it keeps nothing of any."""

    volumes: Volumes
    containers: ContainerSupport
    machine_host: Callable[[], MachineHost]

    def check(self, xml: str, *, is_container: bool) -> None:
        """Raises BadXml, BadVolumeReference, and for a container what it is refused with."""
        root = read_xml(xml)
        facts = read_vm_facts(root)
        find_references(root, facts)
        if is_container:
            apply_properties(root, facts.custom)
            self.containers.check(chosen_runtime(root))

    def prepare(self, xml: str, *, vm_id: str, is_container: bool, undo: UndoStack) -> str:
        """The XML to define. Its volumes are prepared for ``vm_id``, and given back by ``undo``."""
        root = read_xml(xml)
        facts = read_vm_facts(root)
        found = find_references(root, facts)
        prepare_references(found, self.volumes, user=vm_id, undo=undo)
        for reference in found:
            if facts.device(devtype="disk", name=reference.name) is None:
                # By this a later agent knows what the guest holds.
                block_of(root).append(reference_device(name=reference.name, ref=reference.ref))
        if is_container:
            apply_properties(root, facts.custom)
        else:
            adapt_machine(root, self.machine_host())
        return write_xml(root)

    def release(self, xml: str, *, vm_id: str) -> None:
        """Give back what the guest of this definition had. What storage cannot take back is logged, and no error."""
        for ref in held_references(read_xml(xml)):
            try:
                self.volumes.teardown(ref, user=vm_id)
            except Error:
                log.warning("A volume could not be given back vm=%s volume=%s", vm_id, ref, exc_info=True)


def held_references(root: etree._Element) -> list[VolumeRef]:
    """All volumes that a definition says its guest holds, whether a disk shows them or not."""
    facts = read_vm_facts(root)
    shown = [reference.ref for reference in find_references(root, facts)]
    return list(dict.fromkeys([*shown, *known_references(facts)]))
