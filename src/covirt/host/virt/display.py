# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tickets: a virtual machine's display opens to a password, for a while."""

import time
from typing import Final

import libvirt
from lxml import etree

from covirt.common.process import Secret
from covirt.host.virt.device_errors import DisplayNotOpened
from covirt.host.virt.document import is_xml_text, write_xml
from covirt.host.virt.guest import Guest, live_xml
from covirt.host.virt.libvirt_errors import told_as

_FORMAT: Final = "%Y-%m-%dT%H:%M:%S"  # of passwdValidTo, in UTC
_CONNECTED: Final = ("disconnect", "fail", "keep")
_LONGEST_SECONDS: Final = 10**9  # some thirty years; a calendar ends
_LONGEST_VNC: Final = 8  # the protocol knows no more


def set_ticket(
    guest: Guest, password: Secret, *, valid_seconds: int, kind: str | None = None, connected: str | None = None
) -> None:
    """Open the first display, or the first of a ``kind`` ("vnc", "spice"). 0 seconds and less are for ever, as Vdsm
    has it. ``connected``: what becomes of who is in already; VNC knows "keep" only.

    Raises DisplayNotOpened, with the password in no message.
    """
    graphics = _display(guest, kind)
    if graphics.get("type") == "vnc" and not 0 < len(password) <= _LONGEST_VNC:
        raise DisplayNotOpened(reason=f"a password for VNC has one to {_LONGEST_VNC} characters")
    if not is_xml_text(password):
        raise DisplayNotOpened(reason="a password has no control characters")
    if valid_seconds > _LONGEST_SECONDS:
        raise DisplayNotOpened(reason=f"ttl must be {_LONGEST_SECONDS} seconds or less; 0 is for ever")
    graphics.set("passwd", password)
    graphics.attrib.pop("passwdValidTo", "")
    if valid_seconds > 0:
        graphics.set("passwdValidTo", time.strftime(_FORMAT, time.gmtime(time.time() + valid_seconds)))
    if graphics.get("type") == "spice" and connected in _CONNECTED:
        graphics.set("connected", connected)
    with told_as(DisplayNotOpened, name=guest.vm_id):
        guest.domain().updateDeviceFlags(write_xml(graphics), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def _display(guest: Guest, kind: str | None) -> etree._Element:
    with told_as(DisplayNotOpened, name=guest.vm_id):
        live = live_xml(guest)
    for graphics in live.iterfind("devices/graphics"):
        if kind is None or graphics.get("type") == kind:
            return graphics
    reason = "a container has a console and no display" if guest.is_container else "there is no display"
    raise DisplayNotOpened(reason=reason if kind is None else f"there is no display of type {kind}")
