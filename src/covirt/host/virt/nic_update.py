# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An interface of a running guest: its link, and the network it is in."""

import libvirt

from covirt.host.virt.device_errors import BadDevice, DeviceNotUpdated, NoSuchDevice
from covirt.host.virt.document import is_xml_text, made_child, write_xml
from covirt.host.virt.guest import Guest, Turns, live_xml
from covirt.host.virt.hotplug import find_nic
from covirt.host.virt.libvirt_errors import told_as


def update_nic(
    guest: Guest,
    turns: Turns,
    *,
    alias: str = "",
    mac: str = "",
    link: bool | None = None,
    network: str | None = None,
) -> None:
    """None leaves things as they are. An empty network is none: the link goes down, and the interface stays in the
    bridge it is in.

    Raises BadDevice, NoSuchDevice and DeviceNotUpdated.
    """
    if network is not None and not is_xml_text(network):
        raise BadDevice(reason="its network's name has control characters")
    with turns.turn(guest.vm_id), told_as(DeviceNotUpdated, name=guest.vm_id):
        nic = find_nic(live_xml(guest), alias=alias, mac=mac.lower())
        if nic is None:
            raise NoSuchDevice(what="interface", name=alias or mac)
        if network == "":
            link = False
        elif network is not None:
            made_child(nic, "source").set("bridge", network)
        if link is not None:
            made_child(nic, "link").set("state", "up" if link else "down")
        guest.domain().updateDeviceFlags(write_xml(nic), libvirt.VIR_DOMAIN_AFFECT_LIVE)
