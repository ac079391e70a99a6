# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A disk that becomes larger while its guest runs."""

from collections.abc import Mapping

import libvirt

from covirt.host.virt.device_errors import DeviceNotUpdated, NoSuchDisk
from covirt.host.virt.disk_references import volume_ref
from covirt.host.virt.document import attribute_of
from covirt.host.virt.guest import Guest, Turns, live_xml
from covirt.host.virt.hotplug import find_disk
from covirt.host.virt.libvirt_errors import told_as
from covirt.host.virt.volumes import GrowingVolumes


def extend_disk(
    guest: Guest, turns: Turns, volumes: GrowingVolumes, *, device: Mapping[str, str], asked_bytes: int
) -> int:
    """``device``: its volume's four UUIDs. The size it has now.

    May be called again: what a kill left half told is told then. Raises NoSuchDisk, DeviceNotUpdated, and what the
    storage raises.
    """
    ref = volume_ref(device, disk="to extend")
    with turns.turn(guest.vm_id), told_as(DeviceNotUpdated, name=guest.vm_id):
        disk = find_disk(live_xml(guest), ref=ref)
        if disk is None:
            raise NoSuchDisk(volume=ref)
        size = volumes.size_for_guest(ref, asked_bytes=asked_bytes)
        name = attribute_of(disk, "target", "dev")
        with volumes.growing(ref, size_bytes=size):
            guest.domain().blockResize(name, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    return size
