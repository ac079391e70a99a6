# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a disk that a container is to mount."""

from covirt.common.errors import Conflict, Denied, InvalidRequest, NotFound, Unavailable


class VolumeMissing(NotFound):
    template = "the disk {path} cannot be opened: {reason}; make it, for example with truncate, or correct the path"


class VolumeUnreadable(Unavailable):
    template = "the disk {path} cannot be read: {reason}; look for its errors in the kernel's log"


class NotADisk(InvalidRequest):
    template = "{path} is {what}, and a volume is {wanted}; correct the path or the type in the XML"


class ForeignDisk(Denied):
    template = (
        "the disk {path} holds {what}, which no covirt of this key wrote, so it is neither mounted nor formatted; "
        "give an empty disk, empty this one if nobody needs what is on it, or bring the key of the host that made it"
    )


class VolumeTooSmall(InvalidRequest):
    template = (
        "the disk {path} has {size_bytes} bytes, which is too small for a volume; it needs {minimum_bytes} at least"
    )


class BlankReadOnlyVolume(InvalidRequest):
    template = "the disk {path} is empty and may only be read; let a container that may write to it start first"


class UncleanReadOnlyVolume(InvalidRequest):
    template = (
        "the disk {path} was not unmounted cleanly and may only be read; "
        "let a container that may write to it start first, or run e2fsck -p on it"
    )


class VolumeInUse(Conflict):
    template = "the disk {path} is in use {where}; stop that first, or mark the disk <shareable/> wherever it is used"


class VolumeDamaged(Unavailable):
    template = "the file system on the disk {path} is damaged and could not be repaired: {reason}; run e2fsck on it"


class NoSuchSubpath(InvalidRequest):
    template = "{subpath!r} cannot be shown from the volume {path}: {reason}; name a directory inside it"


class VolumeCopyFailed(Unavailable):
    template = "what the image has at {destination} could not be copied to its volume: {reason}"


class VolumeFormatFailed(Unavailable):
    template = "the disk {path} could not be formatted: {reason}"


class BrokenVolumeKey(InvalidRequest):
    template = "{path} must hold 64 hexadecimal digits and does not; put the old key back"
