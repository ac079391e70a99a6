# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures of libvirt's remote protocol: attaching, detaching and changing devices.

``procedures`` says where the facts come from, and has those that take a device's XML.
"""

from types import NoneType
from typing import Final

from covirt.wire.declare import write
from covirt.wire.protocol import Message
from covirt.wire.structs_devices import DomainDetachDeviceAliasArgs
from covirt.wire.structs_events import DeviceAliasMsg

DOMAIN_DETACH_DEVICE_ALIAS: Final = write(392, "domain_detach_device_alias", DomainDetachDeviceAliasArgs, NoneType)

EVENT_DEVICE_REMOVAL_FAILED: Final = Message(
    number=367, name="domain_event_callback_device_removal_failed", body=DeviceAliasMsg
)
