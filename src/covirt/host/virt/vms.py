# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All Vms of this host, of both kinds, over two connections that know nothing of each other."""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import libvirt
from lxml import etree

from covirt.common.errors import Error
from covirt.common.log import carrying_flow
from covirt.common.root import Root, boot_id
from covirt.host.virt.actions import Actions
from covirt.host.virt.config import VirtConfig
from covirt.host.virt.connection import Connection
from covirt.host.virt.container_secrets import GivenSecret, check_secrets
from covirt.host.virt.document import BadXml, child_text, read_xml, write_xml
from covirt.host.virt.domain_events import EVENTS, DomainEvents
from covirt.host.virt.errors import BadVm, HypervisorUnavailable, NoSuchVm, NotGivenBack, UnreadableVm, VmExists
from covirt.host.virt.hibernation import Hibernation, state_volume
from covirt.host.virt.kinds import Kind, kind_of, require_allowed
from covirt.host.virt.nic_filter import define_filters
from covirt.host.virt.ovirt_metadata import read_vm_facts
from covirt.host.virt.parts import EventSink, Preparer, VmParts
from covirt.host.virt.payloads import PayloadDiscs, read_payload, take_files_out
from covirt.host.virt.records import Phase, Records, VmRecord
from covirt.host.virt.recovery import recover_vm, unreachable
from covirt.host.virt.sampling import Sampler
from covirt.host.virt.starting import NotKept, end_vm, give_back_but_log, start_vm
from covirt.host.virt.stats import Stats, vm_stats
from covirt.host.virt.vm import Vm
from covirt.host.virt.volumes import Volumes
from covirt.host.virt.watcher import Watcher
from covirt.hostapi.json import JsonValue
from covirt.hostapi.statuses import ExitReason, VmStatus

log = logging.getLogger(__name__)

_FIRST_TRY_SECONDS: Final = 10.0
_SOCKETS: Final = {Kind.MACHINE: ("qemu", "libvirt-sock"), Kind.CONTAINER: ("oci", "virtocid-sock")}

GuestFacts = Callable[[Vm], Mapping[str, JsonValue]]


class Vms:
    """The registry. Everything it answers from itself is there at once, whatever libvirt does."""

    def __init__(
        self,
        root: Root,
        config: VirtConfig,
        *,
        events: EventSink,
        volumes: Volumes,
        preparer: Preparer,
        watchers: tuple[Watcher, ...] = (),
        guest_facts: GuestFacts = lambda _vm: {},
        on_device_removed: Callable[[Vm], object] = lambda _vm: None,
        on_paused_or_resumed: Callable[[Vm], object] = lambda _vm: None,
        on_destroyed: Callable[[Vm], object] = lambda _vm: None,
    ) -> None:
        """``on_destroyed``: told before its id can be taken again."""
        self._lock = threading.Lock()
        self._vms: dict[str, Vm] = {}
        self._starts: dict[str, threading.Thread] = {}
        self._left_over: set[str] = set()
        self._preparer = preparer
        self._watchers = watchers
        self._guest_facts = guest_facts
        self._on_destroyed = on_destroyed
        self._domain_events = {
            kind: DomainEvents(
                kind,
                self._vms.get,
                on_reboot=self._rebooted,
                on_end=lambda vm, end: end_vm(vm, self._parts, end),
                on_device_removed=on_device_removed,
            )
            for kind in Kind
        }
        self.connections = {kind: self._connection(kind, root, config) for kind in Kind}
        self.samplers = {
            kind: Sampler(
                connection, period_seconds=config.sample_seconds, told=partial(self._look_for_changes, kind)
            )
            for kind, connection in self.connections.items()
        }
        self._parts = VmParts(
            hypervisors=self.connections,
            events=events,
            records=Records(root.state_dir / "host/vms"),
            volumes=volumes,
            preparer=preparer,
            discs=PayloadDiscs(root.run_dir / "host/payload"),
        )
        self.hibernation = Hibernation(self._parts)
        self.actions = Actions(self._parts, forgotten=self._forget, decided=on_paused_or_resumed)

    def _connection(self, kind: Kind, root: Root, config: VirtConfig) -> Connection:
        scheme, socket = _SOCKETS[kind]
        uri = (config.qemu_uri if kind is Kind.MACHINE else config.oci_uri) or (
            f"{scheme}+unix:///system?socket={root.libvirt_dir / socket}"
        )
        return Connection(
            name=scheme,
            uri=uri,
            events=EVENTS,
            on_event=self._domain_events[kind].take,
            on_open=lambda connection: self._opened(kind, connection),
            on_lost=lambda reason: self._lost(kind, reason),
        )

    # For the composition root.

    def start(self) -> None:
        """Find again what was there. A libvirt that does not answer yet is followed when it does."""
        for record in self._parts.records.load():
            self._vms[record.vm_id] = Vm(record, self._parts)
            self._left_over.add(record.vm_id)
        for kind in Kind:
            self._domain_events[kind].start()
            self.connections[kind].start()
        for kind in Kind:
            self.connections[kind].wait_tried(timeout_seconds=_FIRST_TRY_SECONDS)
            self.samplers[kind].start()

    def stop(self) -> None:
        """Guests go on."""
        self.actions.stop()
        with self._lock:
            starts = list(self._starts.values())
        for thread in starts:
            thread.join(_FIRST_TRY_SECONDS)
        for kind in Kind:
            self.samplers[kind].stop()
            self.connections[kind].stop()
            self._domain_events[kind].stop()

    # For verbs.

    def get(self, vm_id: str) -> Vm:
        """Raises NoSuchVm."""
        vm = self._vms.get(vm_id.lower())
        if vm is None:
            raise NoSuchVm(vm_id=vm_id)
        return vm

    def all(self) -> list[Vm]:
        """In the order in which they were created."""
        with self._lock:
            return list(self._vms.values())

    def create(self, xml: str, secrets: Sequence[GivenSecret] = (), *, state_handle: str = "") -> Vm:
        """Take a Vm on and start it in a thread; how that went is its status. ``state_handle``: to begin from a state
        that was kept, see hibernation. Raises BadStateVolume, BadVm, UnreadableVm, VmExists,
        HypervisorUnavailable, BadContainerProperty, BadPayload, and what the preparer refuses with."""
        try:
            root = read_xml(xml)
        except BadXml as error:
            raise UnreadableVm(reason=error.reason) from error
        record = _new_record(root, xml)
        state = state_volume(state_handle) if state_handle else None
        if state is not None:
            require_allowed("VM.hibernate", record.kind, name=record.name)
        check_secrets(secrets, record.kind, read_vm_facts(root))
        self._preparer.check(root, record.kind)
        payload = read_payload(root)
        if take_files_out(root):
            record = replace(record, xml=write_xml(root))
        given = {ref: each.value for each in secrets for ref in (each.ref(),)}
        record = replace(record, secrets=tuple(given))
        self.connections[record.kind].get()
        vm = self._taken_on(record)
        not_kept = NotKept(values={ref.uuid: value for ref, value in given.items()}, payload=payload, state=state)
        thread = threading.Thread(
            target=carrying_flow(self._start), args=(vm, not_kept), name=f"vm-start-{vm.vm_id[:8]}"
        )
        with self._lock:
            self._starts[vm.vm_id] = thread
        thread.start()
        return vm

    def destroy(self, vm_id: str, *, graceful_attempts: int = 1) -> None:
        """Stop it, give everything back, and forget it. Raises NoSuchVm, DestroyFailed, HypervisorUnavailable,
        NotGivenBack."""
        self.actions.destroy(self.get(vm_id), graceful_attempts=graceful_attempts)

    def statistics(self) -> Mapping[str, JsonValue]:
        """Of Host.getStats: how many Vms there are, and how many of them run."""
        statuses = [vm.list_status for vm in self.all()]
        return {
            "vmCount": len(statuses),
            "vmActive": sum(status is VmStatus.UP for status in statuses),
            "vmMigrating": 0,
            "incomingVmMigrations": 0,
            "outgoingVmMigrations": 0,
        }

    def capabilities(self) -> Mapping[str, JsonValue]:
        """Of Host.getCapabilities: which kind is served now, and why not."""
        states = {kind: connection.state for kind, connection in self.connections.items()}
        return {
            "vmTypes": ["kvm"],
            "hypervisors": {
                connection.name: {"connected": states[kind].connected, "reason": states[kind].reason}
                for kind, connection in self.connections.items()
            },
        }

    def stats(self, vm: Vm) -> Stats:
        sampler = self.samplers[vm.kind]
        return vm_stats(vm, sampler.samples, self._guest_facts(vm), silent=sampler.silent)

    # Inside.

    def _forget(self, vm: Vm) -> None:
        self._on_destroyed(vm)
        with self._lock:
            self._vms.pop(vm.vm_id, None)
        log.info("Vm destroyed vm=%s name=%s", vm.vm_id, vm.name)

    def _taken_on(self, record: VmRecord) -> Vm:
        vm = Vm(record, self._parts)
        with self._lock:
            if record.vm_id in self._vms:
                raise VmExists(vm_id=record.vm_id)
            vm.save()
            self._vms[record.vm_id] = vm
        return vm

    def _start(self, vm: Vm, not_kept: NotKept) -> None:
        try:
            if not start_vm(vm, self._parts, not_kept):
                self._leave_to_recovery(vm)
        finally:
            with self._lock:
                if self._starts.get(vm.vm_id) is threading.current_thread():  # not one of the same id made since
                    del self._starts[vm.vm_id]
        self.samplers[vm.kind].wake()

    def _leave_to_recovery(self, vm: Vm) -> None:
        with self._lock:
            self._left_over.add(vm.vm_id)
        try:
            self._recover(vm, self.connections[vm.kind].get())
        except (libvirt.libvirtError, HypervisorUnavailable) as error:
            log.debug("It is recovered once libvirt is back vm=%s error=%s", vm.vm_id, error)

    def _opened(self, kind: Kind, connection: Any) -> None:
        if kind is Kind.MACHINE:
            define_filters(connection)
        for vm in self._of(kind):
            try:
                self._recover(vm, connection)
            except HypervisorUnavailable:
                raise
            except Error as error:
                log.error("A Vm could not be followed vm=%s reason=%s", vm.vm_id, error)
        for watcher in self._watchers:
            watcher.connected(kind, connection)
        self.samplers[kind].wake()

    def _recover(self, vm: Vm, connection: Any) -> None:
        with self._lock:
            left_over = vm.vm_id in self._left_over
            self._left_over.discard(vm.vm_id)
        try:
            recover_vm(vm, connection, self._parts, left_over=left_over)
        except BaseException:
            if left_over:
                with self._lock:
                    self._left_over.add(vm.vm_id)
            raise

    def _lost(self, kind: Kind, reason: str) -> None:
        for vm in self._of(kind):
            unreachable(vm)
        for watcher in self._watchers:
            watcher.disconnected(kind, reason)

    def _look_for_changes(self, kind: Kind) -> None:
        for vm in self._of(kind):
            vm.tell_when_up()
            self.actions.finish_destroy(vm)
            self._release(vm)

    def _release(self, vm: Vm) -> None:
        """What has ended needs nothing any more, however long its engine keeps it."""
        if vm.record.phase is not Phase.DOWN:
            return
        try:
            give_back_but_log(vm, self._parts)
        except (HypervisorUnavailable, NotGivenBack) as error:
            log.debug("It keeps what it holds for now vm=%s reason=%s", vm.vm_id, error)

    def _of(self, kind: Kind) -> list[Vm]:
        return [vm for vm in self.all() if vm.kind is kind]

    def _rebooted(self, vm: Vm) -> None:
        if not vm.record.destroy_on_reboot:
            return
        vm.will_stop(ExitReason.DESTROYED_ON_REBOOT)
        vm.domain().destroy()


def _new_record(root: etree._Element, xml: str) -> VmRecord:
    if root.tag != "domain":
        raise BadVm(reason=f"its XML describes a <{root.tag}> and no <domain>")
    try:
        vm_id = str(uuid.UUID(child_text(root, "uuid")))
    except ValueError as error:
        raise BadVm(reason=f"its <uuid> is {child_text(root, 'uuid')[:60]!r}") from error
    name = child_text(root, "name")
    if not name:
        raise BadVm(reason="its XML has no <name>")
    return VmRecord(vm_id=vm_id, name=name, kind=kind_of(root, read_vm_facts(root)), xml=xml, boot=boot_id())
