# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Guests and their verbs."""

from typing import Protocol

from covirt.common.root import Root
from covirt.host.config import HostConfig
from covirt.host.events import Events
from covirt.host.services import FactSource
from covirt.host.verbs.dispatch import VerbClass
from covirt.host.verbs.vm import VmVerbs
from covirt.host.verbs.vm_devices import VmDeviceVerbs
from covirt.host.virt.merge_record import MergedVolumes
from covirt.host.virt.part import VirtPart
from covirt.host.virt.volumes import GrowingVolumes, Volumes


class HostVolumes(Volumes, GrowingVolumes, Protocol):
    """What guests need of storage."""


class Guests:
    """The part that runs guests, with its verbs."""

    def __init__(
        self, *, root: Root, config: HostConfig, events: Events, volumes: HostVolumes, merging: MergedVolumes
    ) -> None:
        self.part = VirtPart(root, config.virt, config.containers, events=events, volumes=volumes, merging=merging)
        self.vms = self.part.vms
        self._volumes = volumes

    def start(self) -> None:
        self.part.start()

    def stop(self) -> None:
        """Guests go on."""
        self.part.stop()

    @property
    def sources(self) -> tuple[FactSource, ...]:
        return (self.part,)

    def verbs(self) -> tuple[VerbClass, ...]:
        return (VmVerbs(self.vms), VmDeviceVerbs(self.vms, self.part.hotplug, self._volumes))
