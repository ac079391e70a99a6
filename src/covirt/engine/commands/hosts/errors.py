# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why a host cannot be changed."""

from covirt.common.errors import Conflict, Denied, InvalidRequest


class HostNameInUse(Conflict):
    template = "Cannot {action} Host. The Host name is already in use, please choose a unique name and try again."


class HostAddressInUse(Conflict):
    template = "Cannot {action} Host. Host with the same address already exists."


class BadAddress(InvalidRequest):
    template = "Cannot {action} Host. {address!r} is neither a host's name nor an IP address."


class BadPort(InvalidRequest):
    template = "The Port number must be between 1 and 65535."


class LocalStorageHasAHost(Conflict):
    template = 'Cannot add more than one Host to "Local Storage" Data Center'


class WrongHostStatus(Conflict):
    """Fields: action, host, status (as it is), allowed."""

    template = (
        "Cannot {action} Host {host}. Operation can be performed only when Host status is {allowed}; it is {status}."
    )


class HostIsOperational(Conflict):
    template = "Cannot remove Host. Host is operational. Please switch Host to Maintenance mode first."


class HostHasStorage(Conflict):
    """Fields: host, domains."""

    template = (
        "Cannot remove Host {host}. These Storage Domains are directories of it, which no other host reaches: "
        "{domains}. Remove them, or destroy them (only what the engine knows of them goes), and try again."
    )


class HostRunsVms(Conflict):
    """Fields: action, host, vms."""

    template = (
        "Cannot {action} Host {host}. These VMs run on it, and cannot be migrated: {vms}. Stop them, and try again."
    )


class SilentHostRunsVms(Conflict):
    template = (
        "Cannot switch Host {host} to Maintenance mode. Host still has running VMs on it and is in Non Responsive "
        "state: {vms}. Bring it back, or see that it is off and confirm that it has been rebooted (fence, manual)."
    )


class SilentHostIsSpm(Conflict):
    template = (
        "Cannot switch Host {host} to Maintenance mode. Host is Storage Pool Manager and is in Non Responsive state. "
        "Bring it back, or see that it is off and confirm that it has been rebooted (fence, manual)."
    )


class NoPowerManagement(Conflict):
    template = "Cannot {action} Host {host}. There is no power management; only fence type 'manual' is offered."


class TokenRefused(Denied):
    """Of an enrolment. Fields: reason."""

    template = "{reason}"


class HostTransfersDisks(Conflict):
    """Fields: host, disks."""

    template = (
        "Cannot switch Host {host} to Maintenance mode. Clients upload or download disks there: {disks}; finalize or "
        "cancel those image transfers first."
    )
