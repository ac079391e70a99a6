# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of a running guest that came to nothing; each has a number of its own in Vdsm's words."""

from covirt.common.errors import CommandFailed, Conflict, InvalidRequest, NotFound, Unavailable, Unsupported


class GuestCannot(Unsupported):
    template = "this guest cannot do that: {reason}"


class GuestIsBusy(Unavailable):
    template = "another change of the guest {vm_id} did not end within {timeout_seconds:g} seconds; try again later"


class BadDevice(InvalidRequest):
    template = "the device cannot be used: {reason}"


class NoSuchDevice(NotFound):
    template = "the guest has no such {what}: {name}"


class NoSuchDisk(NotFound):
    template = "the guest has no disk with the volume {volume}"


class DiskNotPlugged(CommandFailed):
    template = "the disk was not added: {reason}"


class DiskNotUnplugged(CommandFailed):
    template = "the disk was not removed: {reason}"


class NicNotPlugged(CommandFailed):
    template = "the interface was not added: {reason}"


class NicNotUnplugged(CommandFailed):
    template = "the interface was not removed: {reason}"


class DeviceNotUpdated(CommandFailed):
    template = "the device was not changed: {reason}"


class DiscNotChanged(CommandFailed):
    template = "the disc was not changed: {reason}"


class DisplayNotOpened(Conflict):
    template = "the display's ticket was not set: {reason}"


class CpusNotSet(CommandFailed):
    template = "the number of CPUs was not changed: {reason}"


class BalloonNotSet(CommandFailed):
    template = "the guest's memory was not changed: {reason}"


class PolicyNotSet(CommandFailed):
    template = "the guest's policy was not changed: {reason}"


class NotSnapshot(CommandFailed):
    template = "no snapshot of the guest's disks was made: {reason}"


class NotMerged(CommandFailed):
    template = "the volumes were not merged: {reason}"


class NotFrozen(CommandFailed):
    template = "the guest's file systems were not frozen: {reason}"


class NotThawed(CommandFailed):
    template = "the guest's file systems were not thawed: {reason}"


class AgentSilent(Unavailable):
    template = "the guest's agent does not answer: {reason}"
