# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why a machine cannot be what somebody wants it to be. The wording is oVirt's where it has one."""

from covirt.common.errors import Conflict, InvalidRequest, Unsupported


class NotForThisKind(Unsupported):
    """Fields: action, name, kind, reason."""

    template = "Cannot {action} VM. {name} is a {kind}: {reason}."


class KindIsFixed(Conflict):
    """Fields: name, kind."""

    template = (
        "Cannot edit VM. {name} is a {kind} for good: what makes a machine a container, the custom property "
        "containerType, is chosen when it is added."
    )


class KindOfTemplate(Conflict):
    """Fields: kind, template_name, other."""

    template = "Cannot add VM. A {kind} cannot be made of the template {template_name}, which is of a {other}."


class UnknownProperties(InvalidRequest):
    """Fields: action, keys."""

    template = (
        "Cannot {action} VM if some of the specified custom properties are not configured by the system. "
        "The keys are: {keys}"
    )


class BadPropertyValues(InvalidRequest):
    """Fields: action, keys."""

    template = (
        "Cannot {action} VM if some of the specified custom properties have illegal values. The keys are: {keys}"
    )


class DuplicateProperties(InvalidRequest):
    """Fields: action, keys."""

    template = (
        "Cannot {action} VM if some of the specified custom properties appear more than once. The keys are: {keys}"
    )


class BadProperties(InvalidRequest):
    """Fields: action."""

    template = "Cannot {action} VM if custom properties are in invalid format. Please check the input."


class BadContainer(InvalidRequest):
    """Fields: action, property, reason."""

    template = "Cannot {action} VM. Custom property {property}: {reason}."


class ContainersAreOff(Conflict):
    """Fields: action, cluster."""

    template = (
        "Cannot {action} VM. Cluster {cluster} has no containers: enable its additional feature containers "
        "(clusters/ID/enabledfeatures) first."
    )


class NoSuchRuntime(Conflict):
    """Fields: action, runtime, cluster, known."""

    template = (
        "Cannot {action} VM. No host of cluster {cluster} that is up has the container runtime {runtime}; "
        "there is: {known}."
    )


class NoContainerImage(Conflict):
    """Fields: name."""

    template = (
        "Cannot run VM. {name} has no container image: name one with the custom property containerImage, or put one "
        "into its CD-ROM."
    )


class UnmappedVolumes(Conflict):
    """Fields: name, paths, example."""

    template = (
        "Cannot run VM. The image of {name} declares volumes that no disk is mapped to: {paths}. Map each in the "
        "custom property volumeMap to a disk, or discard it, as in {example}:discard."
    )


class NoSuchVolumeDisk(Conflict):
    """Fields: name, disk, property."""

    template = "Cannot run VM. {property} of {name} names the disk {disk}, which is not attached to it."


class NoFreeMac(Conflict):
    """Fields: pool."""

    template = "Cannot add VM network interface. Not enough MAC addresses left in MAC Address Pool {pool}."


class BadMac(InvalidRequest):
    """Fields: mac."""

    template = "Cannot use the MAC address {mac}: it must be six pairs of hexadecimal digits, of one station."


class MacInUse(Conflict):
    """Fields: mac."""

    template = "Cannot use the MAC address {mac}: MAC Address is already in use."


class UnfitInterface(InvalidRequest):
    """Fields: what, reason."""

    template = "Cannot run VM. {what}: {reason}."
