# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A running machine goes on in new volumes, which build on those that it had: those keep what its disks were.

All disks of a call change in one step of QEMU's. What the guest holds follows as in hotplug.py: written down before,
and given back when no disk shows it any more, by whatever agent there is then.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import libvirt
from lxml import etree

from covirt.host.virt.device_errors import NoSuchDisk, NotSnapshot
from covirt.host.virt.disk_references import point_at_file
from covirt.host.virt.document import attribute_of, write_xml
from covirt.host.virt.guest import Guest, live_xml
from covirt.host.virt.hotplug import HotPlug, find_disk, known_device
from covirt.host.virt.volumes import VolumeRef

log = logging.getLogger(__name__)

_FLAGS: Final = (
    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
)
# What libvirt says when there is no agent, or one that does not help: the snapshot is made without it.
_NO_AGENT: Final = (
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED, libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From one volume of an image to one above it, which is there, empty, and builds on it."""

    domain_id: str
    image_id: str
    base_id: str
    volume_id: str

    def base(self, guest: Guest) -> VolumeRef:
        """As the guest holds it. Raises NoSuchDisk."""
        wanted = (self.domain_id, self.image_id, self.base_id)
        for ref in guest.volumes:
            if (ref.domain_id, ref.image_id, ref.volume_id) == wanted:
                return ref
        raise NoSuchDisk(volume="/".join(wanted))

    def is_done(self, live: etree._Element) -> bool:
        """By an earlier call."""
        wanted = VolumeRef(pool_id="", domain_id=self.domain_id, image_id=self.image_id, volume_id=self.volume_id)
        return find_disk(live, ref=wanted) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSnapshots:
    hotplug: HotPlug

    def create(self, guest: Guest, steps: Sequence[Step], *, frozen: bool) -> None:
        """``frozen``: whoever asks has stopped the guest's writes. Else its agent is asked to; one that does not
        answer keeps nobody from it. May be called again. Raises NoSuchDisk, NotSnapshot, and the storage's errors."""
        with self.hotplug.changing(guest, NotSnapshot) as undo:
            live = live_xml(guest)
            todo = [step for step in steps if not step.is_done(live)]
            wanted = etree.Element("domainsnapshot")
            disks = etree.SubElement(wanted, "disks")
            chosen = set()
            for step in todo:
                base = step.base(guest)
                above = replace(base, volume_id=step.volume_id)
                disk = find_disk(live, ref=base)
                if disk is None:
                    raise NoSuchDisk(volume=base)
                name = attribute_of(disk, "target", "dev")
                path = self.hotplug.hold(guest, above, known_device(live, name, above), undo)
                disks.append(_external(name, path))
                chosen.add(name)
            for disk in live.iterfind("devices/disk"):
                if (name := attribute_of(disk, "target", "dev")) not in chosen:
                    etree.SubElement(disks, "disk", name=name, snapshot="no")
            if todo:
                _create(guest, write_xml(wanted), quiesce=not frozen)
        self.hotplug.settle(guest)


def _create(guest: Guest, xml: str, *, quiesce: bool) -> None:
    domain: Any = guest.domain()
    if quiesce:
        try:
            domain.snapshotCreateXML(xml, _FLAGS | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE)
        except libvirt.libvirtError as error:
            if error.get_error_code() not in _NO_AGENT:
                raise
            log.info("No agent stops the guest's writes vm=%s reason=%s", guest.vm_id, error)
        else:
            return
    domain.snapshotCreateXML(xml, _FLAGS)


def _external(name: str, path: str) -> etree._Element:
    disk = etree.Element("disk", name=name, snapshot="external")
    etree.SubElement(disk, "driver", type="qcow2")
    point_at_file(disk, path)
    return disk
