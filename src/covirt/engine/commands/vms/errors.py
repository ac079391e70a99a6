# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why nothing is done to a machine now. The wording is oVirt's where it has one."""

from covirt.common.errors import Conflict, InvalidRequest, Unavailable


class VmIsRunning(Conflict):
    """Fields: action."""

    template = "Cannot {action} VM. VM is running."


class VmIsNotRunning(Conflict):
    """Fields: action."""

    template = "Cannot {action} VM. VM is not running."


class VmInStatus(Conflict):
    """Fields: action, status."""

    template = "Cannot {action} VM because the VM is in {status} status."


class VmNameInUse(Conflict):
    """Fields: action."""

    template = "Cannot {action} VM. The VM name is already in use, please choose a unique name and try again."


class DeleteProtected(Conflict):
    template = "Cannot remove VM. Delete protection is enabled. In order to delete, disable Delete protection first."


class SnapshotsKeepDisks(Conflict):
    """Fields: snapshots."""

    template = (
        "Cannot remove VM. Detaching disks from a VM with snapshots is not allowed; remove these first: {snapshots}."
    )


class BadSize(InvalidRequest):
    """Fields: action, reason."""

    template = "Cannot {action} VM. {reason}"


class CpuProfileElsewhere(InvalidRequest):
    """Fields: action, profile."""

    template = "Cannot {action} VM. The CPU profile {profile} is not one of the VM's cluster; choose one of those."


class OtherDataCenter(Conflict):
    template = "Cannot edit VM. VM can be moved only to a Cluster in the same Data Center."


class TemplateHasDisks(Conflict):
    """Fields: template_name."""

    template = "Cannot add VM. The template {template_name} was given disks in this moment; try again."


class NothingToBootFrom(Conflict):
    template = (
        "Cannot run VM without at least one bootable disk. Attach one, or have it boot from a CD-ROM with a disc in "
        "it, or from the network."
    )


class DiskIsLocked(Conflict):
    """Fields: disk, status."""

    template = "Cannot run VM. The disk {disk} is {status}. Please try again in a few minutes."


class StorageIsAway(Conflict):
    """Fields: domain, status."""

    template = "Cannot run VM. The storage domain {domain} is {status}, and must be active."


class StartFailed(Conflict):
    """Fields: name, host, reason."""

    template = "Cannot run VM. Host {host} could not start {name}: {reason}."


class StartUncertain(Unavailable):
    """Fields: name, host."""

    template = "Host {host} does not tell what became of the start of {name}; it is followed until it does."


class NicNameInUse(Conflict):
    template = "Network interface name is already in use"


class NicIsPlugged(Conflict):
    template = "Cannot remove VM network interface. The VM Network Interface is plugged to a running VM."


class NicIsInUse(Conflict):
    """Fields: what."""

    template = (
        "Cannot edit VM network interface. Its {what} cannot be changed while it is plugged to a running VM; "
        "deactivate it first."
    )


class ProfileElsewhere(InvalidRequest):
    """Fields: profile, cluster."""

    template = "Cannot use the vNIC profile {profile}: its network is not one of cluster {cluster}, where the VM is."


class NotADisc(InvalidRequest):
    """Fields: disk."""

    template = (
        "Cannot change CD. The disk {disk} is none: a virtual machine's is an ISO image, a container's is a "
        "container image, and neither is attached to a machine."
    )


class NoDisplay(Conflict):
    """Fields: action, name."""

    template = "Cannot {action}. {name} has no display now."


class UnfitNic(InvalidRequest):
    """Fields: reason."""

    template = "Cannot use VM network interface. {reason}"


class HasNoDrive(Conflict):
    """Fields: name."""

    template = "Cannot change CD. {name} is a container: it has no drive for discs while it runs; give it a volume."
