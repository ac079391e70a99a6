# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with one device of a domain."""

from covirt.common.errors import Conflict, NotFound, Unsupported


class NoSuchDevice(NotFound):
    template = "domain '{name}' has no {what}; virsh dumpxml shows the devices it has"


class SeveralDevices(Conflict):
    template = "domain '{name}' has several devices that match: {what}; say which one by its {key}"


class DeviceExists(Conflict):
    template = "domain '{name}' already has {what}; choose another one, or detach that first"


class DeviceBusy(Conflict):
    template = "{what} of domain '{name}' is in use and stays: {holders}; end that, and detach it again"


class DeviceFixed(Unsupported):
    template = "{what} cannot be changed: {reason}"
