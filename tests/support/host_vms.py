# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The part of the agent that runs Vms, called by its verbs as an engine does, over real libvirts."""

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from xml.sax.saxutils import escape

from lxml import etree

from covirt.common.root import Root
from covirt.host.events import Events
from covirt.host.storage.jobs import Jobs
from covirt.host.storage.operations import Operations
from covirt.host.verbs.dispatch import CallContext, Dispatcher
from covirt.host.verbs.faults import described
from covirt.host.verbs.stream import StreamVerbs
from covirt.host.verbs.vm import VmVerbs
from covirt.host.verbs.vm_devices import VmDeviceVerbs
from covirt.host.verbs.vm_snapshots import SnapshotVerbs
from covirt.host.virt.agent_poller import Periods
from covirt.host.virt.config import VirtConfig
from covirt.host.virt.container_config import ContainersConfig
from covirt.host.virt.kvm_probe import KvmProbe
from covirt.host.virt.live_snapshots import LiveSnapshots
from covirt.host.virt.part import VirtPart
from covirt.hostapi.errors import CallRefused
from covirt.rpc.streams import TicketStreams
from tests.support.fake_volumes import FakeVolumes
from tests.support.guest import TinyGuest
from tests.support.libvirtd import URI
from tests.support.waiting import wait_until

SECONDS: Final = 60.0  # for what takes milliseconds on an idle machine
_NAMESPACE: Final = "http://ovirt.org/vm/1.0"
_CONTEXT: Final = CallContext(client="test", flow_id="flow")


class HostVms:
    """Events are kept in their order; each call is a verb's."""

    def __init__(
        self,
        root: Root,
        *,
        oci_uri: str,
        qemu_uri: str = URI,
        volumes: FakeVolumes | None = None,
        sample_seconds: int = 1,
    ) -> None:
        self.volumes = volumes or FakeVolumes({})
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._lock = threading.Lock()
        events = Events()
        events.join(self._keep)
        self.part = VirtPart(
            root,
            VirtConfig(
                qemu_uri=qemu_uri, oci_uri=oci_uri, sample_seconds=sample_seconds, host_files=("/",)
            ),  # tiny machines boot a kernel of the host
            ContainersConfig(enabled=True),
            events=events,
            volumes=self.volumes,
            merging=self.volumes,
            agent_periods=Periods(look=0.2, answered=0.5, young=0.5),
            probe=KvmProbe(root.run_dir / "host", device=root.path / "no-kvm"),
        )
        self.vms, self.support = self.part.vms, self.part.support
        self.streams = TicketStreams()
        jobs = Jobs(Operations(name="jobs", directory=root.state_dir / "jobs", describe=described, workers=1))
        self._dispatcher = Dispatcher(
            [
                VmVerbs(self.vms),
                VmDeviceVerbs(self.vms, self.part.hotplug, self.volumes),
                StreamVerbs(self.vms, self.streams),
                SnapshotVerbs(self.vms, LiveSnapshots(hotplug=self.part.hotplug), self.part.merges, jobs),
            ]
        )
        self._dispatcher.set_ready()

    def _keep(self, _destination: str, method: str, params: Mapping[str, Any]) -> None:
        with self._lock:
            self.told.append((method, {key: value for key, value in params.items() if key != "notify_time"}))

    def call(self, method: str, **params: Any) -> Any:
        """Raises CallRefused."""
        return self._dispatcher.call(method, params, _CONTEXT)

    def refusal(self, method: str, **params: Any) -> CallRefused:
        """Of a call that has to fail."""
        try:
            answer = self.call(method, **params)
        except CallRefused as refused:
            return refused
        raise AssertionError(f"{method} answered {answer!r}")

    def create(self, xml: str) -> str:
        """The new Vm's id; its start goes on."""
        vm_id: str = self.call("VM.create", vmID="", vmParams={"xml": xml})["vmId"]
        return vm_id

    def run(self, xml: str) -> str:
        """Create it and wait until it runs."""
        vm_id = self.create(xml)
        self.wait_for(vm_id, "Up")
        return vm_id

    def status(self, vm_id: str) -> str | None:
        """As Host.getVMList has it; None when it is not there."""
        found = {vm["vmId"]: vm["status"] for vm in self.call("Host.getVMList")}
        return found.get(vm_id)

    def stats(self, vm_id: str) -> dict[str, Any]:
        answer: list[dict[str, Any]] = self.call("VM.getStats", vmID=vm_id)
        return answer[0]

    def wait_for(self, vm_id: str, status: str) -> None:
        wait_until(
            lambda: self.status(vm_id) in (status, "Down"), timeout_seconds=SECONDS, what=f"the status {status}"
        )
        assert self.status(vm_id) == status, self.stats(vm_id)

    def events(self, vm_id: str) -> list[dict[str, Any]]:
        """What was told of one Vm, in order."""
        with self._lock:
            return [params[vm_id] for method, params in self.told if method == f"|virt|VM_status|{vm_id}"]

    def statuses(self, vm_id: str) -> list[str]:
        return [event["status"] for event in self.events(vm_id)]

    def destroy_all(self) -> None:
        for vm in self.vms.all():
            self.call("VM.destroy", vmID=vm.vm_id)


@contextmanager
def serve_vms(
    root: Root, *, oci_uri: str, qemu_uri: str = URI, volumes: FakeVolumes | None = None
) -> Iterator[HostVms]:
    """Started; at the end its Vms are destroyed."""
    host = HostVms(root, oci_uri=oci_uri, qemu_uri=qemu_uri, volumes=volumes)
    host.part.start()
    try:
        yield host
    finally:
        try:
            host.destroy_all()
        finally:
            host.part.stop()
            host.streams.stop()


def block(*, custom: str = "", values: str = "", devices: str = "") -> str:
    """oVirt's part of the metadata."""
    return (
        f'<ovirt-vm:vm xmlns:ovirt-vm="{_NAMESPACE}"><ovirt-vm:clusterVersion>4.7</ovirt-vm:clusterVersion>{values}'
        f"<ovirt-vm:custom>{custom}</ovirt-vm:custom>{devices}</ovirt-vm:vm>"
    )


def machine_xml(guest: TinyGuest, name: str, *, vm_id: str = "", values: str = "", **parts: Any) -> str:
    """A tiny machine as an engine describes one."""
    domain = etree.fromstring(guest.domain_xml(name, **parts))
    etree.SubElement(domain, "uuid").text = vm_id or str(uuid.uuid4())
    etree.SubElement(domain, "metadata").append(etree.fromstring(block(values=values)))
    return etree.tostring(domain, encoding="unicode")


def container_xml(
    name: str,
    command: str,
    *,
    vm_id: str = "",
    image: str = "busybox",
    memory_mib: int = 64,
    devices: str = "",
    **custom: str,
) -> str:
    """A container as an engine that knows nothing of containers describes one: by custom properties alone.

    ``command``: as a shell has it.
    """
    properties = {"containerType": "docker", "containerImage": image, "containerCommand": command, **custom}
    texts = "".join(f"<ovirt-vm:{key}>{escape(text)}</ovirt-vm:{key}>" for key, text in properties.items())
    return f"""<domain type='kvm'><name>{escape(name)}</name><uuid>{vm_id or uuid.uuid4()}</uuid>
<memory unit='MiB'>{memory_mib}</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os>
<metadata>{block(custom=texts)}</metadata>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator><memballoon model='virtio'/>{devices}</devices></domain>"""
