# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All that runs guests, put together: one part of the agent, started and stopped as one."""

import contextlib
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from covirt.common.errors import Error
from covirt.common.root import Root
from covirt.common.workers import WorkerPool
from covirt.host.virt.agent_poller import AgentPoller, Periods
from covirt.host.virt.config import VirtConfig
from covirt.host.virt.container_config import ContainersConfig
from covirt.host.virt.container_support import ContainerSupport
from covirt.host.virt.errors import NoSuchVm
from covirt.host.virt.host_reach import HostReach
from covirt.host.virt.hotplug import HotPlug
from covirt.host.virt.kinds import Kind
from covirt.host.virt.kvm_probe import KvmProbe
from covirt.host.virt.live_merges import LiveMerges
from covirt.host.virt.machine_support import MachineSupport
from covirt.host.virt.merge_record import MergedVolumes
from covirt.host.virt.parts import EventSink
from covirt.host.virt.preparation import Preparation
from covirt.host.virt.storage_loss import StorageLoss
from covirt.host.virt.vm import Vm
from covirt.host.virt.vm_guest import VmGuest, running_guests
from covirt.host.virt.vms import Vms
from covirt.host.virt.volumes import Volumes
from covirt.host.virt.watcher import ContainerWatcher
from covirt.hostapi.json import JsonValue

log = logging.getLogger(__name__)

_SETTLERS: Final = 2
_STOP_SECONDS: Final = 10.0


class VirtPart:
    """``storage_loss.domain_health`` is to be told of storage domains by their monitor."""

    def __init__(
        self,
        root: Root,
        config: VirtConfig,
        containers: ContainersConfig,
        *,
        events: EventSink,
        volumes: Volumes,
        merging: MergedVolumes,
        probe: KvmProbe | None = None,
        agent_periods: Periods | None = None,
    ) -> None:
        self.probe = probe or KvmProbe(root.run_dir / "host")
        self.machines = MachineSupport(self.probe, display_address=config.display_address)
        self.support = ContainerSupport(containers)
        reach = HostReach(host_files=config.host_files)
        self.hotplug = HotPlug(volumes=volumes, reach=reach)
        self.vms = Vms(
            root,
            config,
            events=events,
            volumes=volumes,
            preparer=Preparation(
                volumes=volumes, containers=self.support, machine_host=self.machines.machine_host, reach=reach
            ),
            watchers=(ContainerWatcher(self.support), self.machines, _Settler(self)),
            guest_facts=self._guest_facts,
            on_device_removed=self.settle,
            on_destroyed=lambda vm: self.storage_loss.forget(vm.vm_id),
            on_paused_or_resumed=lambda vm: self.storage_loss.forget(vm.vm_id),
        )
        self.agents = AgentPoller(self._running, on_answer=self._agent_speaks, periods=agent_periods or Periods())
        self.storage_loss = StorageLoss(self._running, root.run_dir / "host/storage-pauses")
        self.merges = LiveMerges(hotplug=self.hotplug, volumes=merging, guests=self._running)
        self._settlers = WorkerPool(workers=_SETTLERS, priority_workers=0, name="settle")

    def start(self) -> None:
        self._settlers.fill()
        self.probe.start()
        self.storage_loss.start()
        self.vms.start()
        self.merges.start()
        self.agents.start()

    def stop(self) -> None:
        """Guests go on."""
        self.agents.stop()
        self.merges.stop()
        self._settlers.stop(timeout_seconds=_STOP_SECONDS)
        self.storage_loss.stop()
        self.vms.stop()
        self.probe.stop()

    def capabilities(self) -> Mapping[str, JsonValue]:
        return {**self.vms.capabilities(), **self.machines.capabilities(), **self.support.capabilities()}

    def statistics(self) -> Mapping[str, JsonValue]:
        return self.vms.statistics()

    def settle(self, vm: Vm) -> None:
        """Give back what no device of it shows any more; in a thread, for storage may be slow."""
        self._settlers.submit(partial(self._settle, VmGuest(vm, self.vms.actions)), priority=False)

    def _settle(self, guest: VmGuest) -> None:
        try:
            self.hotplug.settle(guest)
            guest.look_again()
        except Error as error:
            log.debug("Nothing was settled vm=%s reason=%s", guest.vm_id, error)

    def _guest_facts(self, vm: Vm) -> Mapping[str, JsonValue]:
        return {**self.agents.facts(vm.vm_id), "vmJobs": self.merges.jobs(vm.record.merges)}

    def _running(self) -> list[VmGuest]:
        return running_guests(self.vms.all(), self.vms.actions)

    def _agent_speaks(self, vm_id: str) -> None:
        with contextlib.suppress(NoSuchVm):  # destroyed meanwhile
            self.vms.get(vm_id).set_agent_seen()


class _Settler:
    """Finishes what an earlier agent left, when its libvirt answers."""

    def __init__(self, part: VirtPart) -> None:
        self._part = part

    def connected(self, kind: Kind, _connection: Any) -> None:
        for vm in self._part.vms.all():
            if vm.kind is kind:
                self._part.settle(vm)
        self._part.storage_loss.look_again()
        self._part.merges.wake()

    def disconnected(self, kind: Kind, reason: str) -> None:
        """What waits for it fails by itself."""
