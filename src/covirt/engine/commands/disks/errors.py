# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why nothing is done to a disk now. The wording is oVirt's where it has one."""

from covirt.common.errors import Conflict, InvalidRequest, Unavailable


class BadDisk(InvalidRequest):
    """Fields: action, reason."""

    template = "Cannot {action} Virtual Disk. {reason}"


class DiskRefused(Conflict):
    """Fields: action, reason."""

    template = "Cannot {action} Virtual Disk. {reason}"


class NoManagerOfDomain(Conflict):
    """Fields: action, domain, status."""

    template = (
        "Cannot {action} Virtual Disk. No host manages Storage Domain {domain} now (its status is {status}); "
        "activate it first."
    )


class LowSpace(Conflict):
    """Fields: action, domain, free."""

    template = "Cannot {action} Virtual Disk. Low disk space on Storage Domain {domain}: {free} GiB are free."


class DiskInUse(Conflict):
    """Fields: action, disk, users."""

    template = "Cannot {action} Virtual Disk. {disk} is used by {users}, which run; stop them first."


class AlreadyAttached(Conflict):
    """Fields: disk, users."""

    template = "Cannot attach Virtual Disk. {disk} is attached to {users} already, and is not shareable."


class DiskOfOtherKind(Conflict):
    """Fields: disk, kind, vm."""

    template = (
        "Cannot attach Virtual Disk. {disk} belongs to {kind}s, also while it is detached: what one kind of machine "
        "can write the other never mounts. Make a new disk for {vm}."
    )


class NoPlaceInContainer(Conflict):
    """Fields: disk, vm."""

    template = (
        "Cannot hot plug Virtual Disk. {vm} is a container that runs, and its volumeMap has no absolute path for "
        "{disk}: add it there first, or attach the disk with active=false for the next start."
    )


class BootDiskThere(Conflict):
    """Fields: vm, disk."""

    template = "Cannot attach Virtual Disk. {vm} boots from {disk} already; take bootable away from one of them."


class StillBeingMade(Unavailable):
    """Fields: disk, reason."""

    template = "the host is not done with making disk {disk}: {reason}"
