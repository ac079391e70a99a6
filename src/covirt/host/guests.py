# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The parts that run guests, put together."""

from dataclasses import dataclass
from typing import Final, Self

from covirt.common.root import Root
from covirt.host.config import HostConfig
from covirt.host.events import Events
from covirt.host.services import FactSource
from covirt.host.verbs.dispatch import VerbClass
from covirt.host.verbs.vm import VmVerbs
from covirt.host.virt.container_support import ContainerSupport
from covirt.host.virt.kvm_probe import KvmProbe
from covirt.host.virt.machine_support import MachineSupport
from covirt.host.virt.preparation import Preparation
from covirt.host.virt.vms import Vms
from covirt.host.virt.volumes import Volumes
from covirt.host.virt.watcher import ContainerWatcher

_PLACE: Final = "host"
# What follows a display's ticket is not encrypted.
_DISPLAY_ADDRESS: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guests:
    """Started and stopped in this order: what a Vm needs to know is there before the first one is found again."""

    probe: KvmProbe
    machines: MachineSupport
    containers: ContainerSupport
    vms: Vms

    @classmethod
    def new(cls, *, root: Root, config: HostConfig, events: Events, volumes: Volumes) -> Self:
        probe = KvmProbe(root.run_dir / _PLACE)
        machines = MachineSupport(probe, display_address=_DISPLAY_ADDRESS)
        containers = ContainerSupport(config.containers)
        vms = Vms(
            root,
            config.virt,
            events=events,
            volumes=volumes,
            preparer=Preparation(volumes=volumes, containers=containers, machine_host=machines.machine_host),
            watchers=(ContainerWatcher(containers), machines),
        )
        return cls(probe=probe, machines=machines, containers=containers, vms=vms)

    def start(self) -> None:
        self.probe.start()
        self.vms.start()

    def stop(self) -> None:
        """Guests go on."""
        self.vms.stop()
        self.probe.stop()

    @property
    def sources(self) -> tuple[FactSource, ...]:
        return (self.vms, self.machines, self.containers)

    def verbs(self) -> tuple[VerbClass, ...]:
        return (VmVerbs(self.vms),)
