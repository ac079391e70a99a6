# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine's virtual machine made fit for this host: what it accelerates, shows and opens is the host's matter."""

import copy
from dataclasses import dataclass
from typing import Final

from lxml import etree

from covirt.host.virt.document import attribute_of
from covirt.host.virt.nic_filter import filter_interfaces

_ACCELERATED: Final = "kvm"
_EMULATED: Final = "qemu"
# Where an engine has the sockets of a guest's channels; libvirt has a place of its own for those without a path.
_CHANNELS: Final = "/var/lib/libvirt/qemu/channels/"
# A display that nobody may enter until a ticket is set: the time is over, and no two of these words are the same.
_NEVER: Final = "1970-01-01T00:00:01"
_PASSWORD_TYPES: Final = ("vnc", "spice")
_KEPT_OF_CPU: Final = ("topology", "numa", "cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineHost:
    """What of this host goes into a machine's XML."""

    kvm_works: bool
    display_address: str  # where displays listen
    closed_password: str  # of a display whose ticket was not set yet
    storage_label: str | None = None  # user and group that QEMU runs as, as libvirt's DAC has it: "+64055:+36"


def adapt_machine(root: etree._Element, host: MachineHost) -> None:
    """Change a <domain> in place. What is adapted already stays as it is."""
    if root.get("type") == _ACCELERATED and not host.kvm_works:
        _emulate(root)
    for emulator in root.findall("devices/emulator"):
        _remove(emulator)  # which program runs is the host's matter; libvirt knows where it is
    for graphics in root.iterfind("devices/graphics"):
        _close_display(graphics, host)
    for console in root.iterfind("devices/console"):
        _give_terminal(console)
    for channel in root.iterfind("devices/channel"):
        _let_libvirt_place(channel)
    for disk in root.iterfind("devices/disk"):
        _pause_at_errors(disk)
    filter_interfaces(root)
    if host.storage_label:
        _run_as(root, host.storage_label)


def _emulate(root: etree._Element) -> None:
    """No processor by name can be emulated for sure, and the one of the host not at all."""
    root.set("type", _EMULATED)
    given = root.find("cpu")
    cpu = etree.Element("cpu", mode="maximum")
    if given is not None:
        for name in _KEPT_OF_CPU:
            cpu.extend([copy.deepcopy(child) for child in given.iterchildren(name)])
        root.replace(given, cpu)
    else:
        root.append(cpu)


def _close_display(graphics: etree._Element, host: MachineHost) -> None:
    for listen in graphics.findall("listen"):
        graphics.remove(listen)
    graphics.attrib.pop("listen", "")
    etree.SubElement(graphics, "listen", type="address", address=host.display_address)
    if graphics.get("type") in _PASSWORD_TYPES and not graphics.get("passwdValidTo"):
        graphics.set("passwd", host.closed_password)
        graphics.set("passwdValidTo", _NEVER)


def _give_terminal(console: etree._Element) -> None:
    """oVirt's is a socket for a proxy of its own; ours is read through libvirt, which needs a terminal."""
    if console.get("type") == "unix":
        console.set("type", "pty")
        for source in console.findall("source"):
            console.remove(source)


def _let_libvirt_place(channel: etree._Element) -> None:
    for source in channel.findall("source"):
        if source.get("path", "").startswith(_CHANNELS):
            channel.remove(source)


def _pause_at_errors(disk: etree._Element) -> None:
    """A guest that is told of an error loses data; one that is paused goes on when its storage is back."""
    driver = disk.find("driver")
    if driver is None or disk.get("device", "disk") != "disk" or attribute_of(disk, "driver", "error_policy"):
        return
    driver.set("error_policy", "stop")


def _run_as(root: etree._Element, label: str) -> None:
    for present in root.findall("seclabel"):
        if present.get("model") == "dac":
            root.remove(present)
    seclabel = etree.SubElement(root, "seclabel", type="static", model="dac", relabel="yes")
    etree.SubElement(seclabel, "label").text = label


def _remove(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)
