# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong while a container's isolation is built: ids, namespaces, mounts, interfaces, filters, spec."""

from covirt.common.errors import CommandFailed, Conflict, Denied, InvalidRequest, NotFound, Unavailable, Unsupported


class BadIdMap(InvalidRequest):
    template = "the user mapping cannot be used: {reason}; give ranges that do not overlap and that map id 0"


class NamespacesFailed(CommandFailed):
    template = "the user and network namespaces of {directory} could not be made: {reason}"


class ForeignPath(Denied):
    template = "{path} is not a plain path below {own}; covirt mounts and unmounts only there"


class MountFailed(CommandFailed):
    template = "cannot mount {source} on {target}: {reason}"


class UnmountFailed(CommandFailed):
    template = "cannot unmount {target}: {reason}"


class UnknownImageFormat(InvalidRequest):
    template = "{path} holds neither an erofs nor an ext4 file system; import the image again"


class ImageFileMissing(NotFound):
    template = "the container image file {path} cannot be opened: {reason}; import it again or correct the path"


class IdMappedMountUnsupported(Unsupported):
    template = (
        "the file system of {source} cannot be mounted with mapped ids on this kernel: {reason}; "
        "import the image as ext4, or use a newer kernel"
    )


class VolumeNotMappable(Unsupported):
    template = (
        "the directory {source} cannot be shown with the container's ids, its file system cannot do that: {reason}; "
        "use a directory on ext4, xfs or btrfs"
    )


class UnsuitableRootLayer(Unsupported):
    template = (
        "{path} is on {filesystem}, which cannot hold a container's root layer; "
        "use a directory on ext4, xfs, btrfs or tmpfs"
    )


class RootLayerOfAnother(Conflict):
    template = (
        "the root layer {path} was made for host id {owner}, and the user mapping of this domain starts at "
        "{expected}; restore the mapping it was made with, or remove the layer"
    )


class NoSuchUser(InvalidRequest):
    template = "the image has no user {user!r} in its /etc/passwd; give a user of the image or a number"


class NoSuchGroup(InvalidRequest):
    template = "the image has no group {group!r} in its /etc/group; give a group of the image or a number"


class BadUserName(InvalidRequest):
    template = "{text!r} is not a user; write NAME, UID, NAME:GROUP or UID:GID"


class UnmappedUser(InvalidRequest):
    template = (
        "the {what} {number} is outside of the domain's user mapping, which has {count} ids; use a smaller number"
    )


class SeccompProfileMissing(Unavailable):
    template = (
        "the seccomp profile {path} cannot be read: {reason}; install the package golang-github-containers-common "
        "or name another profile in the domain's settings"
    )


class BadSeccompProfile(InvalidRequest):
    template = "the seccomp profile {path} is not usable: {reason}; correct it or use the default profile"


class BadSpecRequest(InvalidRequest):
    template = "the container's {what} {value!r} is not usable: {reason}"


class ReaperMissing(Unavailable):
    template = (
        "the program {path} for reaping children is not installed; install the package catatonit or turn it off"
    )


class NoSuchBridge(InvalidRequest):
    template = "there is no Linux bridge {bridge!r}; this host has {bridges}"


class BadInterface(InvalidRequest):
    template = "the interface's {what} {value!r} is not usable: {reason}"


class InterfaceNameTaken(Conflict):
    template = "an interface named {name!r} exists already {where}; choose another name or leave it out"


class InterfaceFailed(CommandFailed):
    template = "interface {name}: {step} failed: {reason}"


class ForeignInterface(Denied):
    template = "interface {name} was not made for this container and is left alone"


class SpoofFilterFailed(CommandFailed):
    template = "the spoof filter for interface {name} could not be {action}: {reason}"
