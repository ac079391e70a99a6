# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a Vm."""

from covirt.common.errors import CommandFailed, Conflict, InvalidRequest, NotFound, Unavailable, Unsupported


class NoSuchVm(NotFound):
    template = "there is no Vm {vm_id} on this host"


class VmExists(Conflict):
    template = "a Vm {vm_id} is on this host already: destroy it first"


class BadVm(InvalidRequest):
    template = "the Vm cannot be created: {reason}"


class UnreadableVm(InvalidRequest):
    template = "the Vm's XML cannot be used: {reason}"


class NoPayloads(Unsupported):
    template = (
        "the drive {drive} is to hold files that the engine sends along (cloud-init, Sysprep), and a container has "
        "no drives: give it containerEnvironment or secrets"
    )


class BadPayload(InvalidRequest):
    template = "no disc can be made for the drive {drive} of the files that the engine sends along: {reason}"


class VmIsDown(Conflict):
    template = "{name} is not running"


class NotForThisKind(Unsupported):
    template = "{verb} is not for {name}, which is a {kind}: {reason}"


class NothingToAsk(Conflict):
    template = (
        "{name} has neither a guest agent that answers nor ACPI, so nothing can ask it to shut down: destroy it"
    )


class HypervisorUnavailable(Unavailable):
    template = "{name} does not answer: {reason}; its guests go on, and it is asked again by itself"


class LibvirtFailed(CommandFailed):
    template = "libvirt could not {action} {name}: {reason}"


class ResetFailed(LibvirtFailed):
    pass


class DestroyFailed(LibvirtFailed):
    pass


class NotGivenBack(CommandFailed):
    template = "{name} has ended, but still holds {volumes}: {reason}; that is tried again by itself"
