# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Interfaces of machines: on one that runs, its host plugs and unplugs them."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.names import check_name
from covirt.engine.commands.vms import messages
from covirt.engine.commands.vms.add import new_mac
from covirt.engine.commands.vms.common import about, domain_xml_on, is_running, subject_of
from covirt.engine.commands.vms.errors import (
    NicIsInUse,
    NicIsPlugged,
    NicNameInUse,
    ProfileElsewhere,
    UnfitNic,
    VmInStatus,
)
from covirt.engine.commands.vms.gathering import domain_nic
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.network import MacPool
from covirt.engine.model.vm import Nic, NicInterface, Vm, VmStatus
from covirt.engine.store.session import Session
from covirt.engine.vms.device_xml import alias_of, hotplug_nic_xml
from covirt.engine.vms.domain import DomainNic
from covirt.engine.vms.errors import MacInUse, UnfitInterface
from covirt.engine.vms.live_xml import live_macs
from covirt.engine.vms.mac_addresses import read_mac
from covirt.rpc.jsonrpc import Json

_LONGEST_NAME = 50
_CHANGEABLE = (VmStatus.UP, VmStatus.PAUSED, VmStatus.POWERING_UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class _NicCommand(Command):
    """``nic``: as it shall be, with an id and a MAC address."""

    nic: Nic

    def _vm(self, session: Session) -> Vm:
        return session.vms.get(self.nic.vm_id)

    def _lock(self, start: Start, vm: Vm) -> None:
        start.require(Right.CONFIGURE_VM_NETWORK, subject_of(vm.id))
        start.lock(vm.id, f"the interfaces of VM {vm.name} are being changed")
        if is_running(vm) and vm.facts.status not in _CHANGEABLE:
            raise VmInStatus(action="change an interface of", status=vm.facts.status)
        start.describe(f"Changing interface {self.nic.name} of VM {vm.name}", subjects={vm.id})

    def _switch_back(self, doing: Doing) -> JsonValue:
        """As it is written down to be: a host that is silent may have done what was asked."""
        with doing.services.store.read() as session:
            kept = session.nics.get(self.nic.id)
        if kept.plugged is self.nic.plugged:
            return None
        before = replace(self, nic=kept)
        return before._plug(doing) if kept.plugged else before._unplug(doing)

    def _host_and_nic(self, doing: Doing) -> tuple[str | None, DomainNic, Vm]:
        with doing.services.store.read() as session:
            vm = self._vm(session)
            return vm.facts.host_id, domain_nic(session, self.nic), vm

    def _plug(self, doing: Doing) -> JsonValue:
        return self._hotplug(doing, "VM.hotplugNic")

    def _unplug(self, doing: Doing) -> JsonValue:
        return self._hotplug(doing, "VM.hotunplugNic")

    def _hotplug(self, doing: Doing, verb: str) -> JsonValue:
        host_id, nic, vm = self._host_and_nic(doing)
        if host_id is not None:
            params: Mapping[str, Json] = {"vmID": vm.id, "params": {"xml": hotplug_nic_xml(nic, kind=vm.kind)}}
            try:
                doing.services.hosts.call(host_id, verb, params, flow_id=doing.asked.correlation_id)
            except HostRefused:
                if self._is_there(doing, host_id) is not (verb == "VM.hotplugNic"):
                    raise  # otherwise it was done before the engine was killed
        return host_id

    def _is_there(self, doing: Doing, host_id: str) -> bool:
        xml = domain_xml_on(doing, host_id, str(self.nic.vm_id))
        return bool(xml) and self.nic.mac in live_macs(xml)

    def _tell(self, finish: Finish, message: AuditMessage) -> None:
        vm = self._vm(finish.session)
        link = "UP" if self.nic.linked else "DOWN"
        finish.tell(message, about(vm), vm=vm.name, nic=self.nic.name, kind=interface_word(self.nic), link=link)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddVmInterface(_NicCommand):
    action: ClassVar = "AddVmInterface"

    def begin(self, start: Start) -> None:
        vm = self._vm(start.session)
        self._lock(start, vm)
        _check(start, self.nic, vm, before=None)
        start.session.nics.add(self.nic)

    def run(self, flow: Flow) -> JsonValue:
        if self.nic.plugged:
            flow.step("Plugging it into the running machine", self._plug, undo=self._unplug)
        return self.nic.id

    def succeeded(self, finish: Finish) -> None:
        self._tell(finish, messages.NIC_ADDED)

    def failed(self, finish: Finish, reason: str) -> None:
        del reason
        finish.session.nics.remove(self.nic.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateVmInterface(_NicCommand):
    action: ClassVar = "UpdateVmInterface"

    def begin(self, start: Start) -> None:
        vm = self._vm(start.session)
        self._lock(start, vm)
        before = start.session.nics.get(self.nic.id)
        _check(start, self.nic, vm, before=before)
        if is_running(vm) and before.plugged:
            for what, changed in (
                ("MAC address", self.nic.mac != before.mac),
                ("type", self.nic.interface is not before.interface),
            ):
                if changed and self.nic.plugged:
                    raise NicIsInUse(what=what)

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Changing it in the running machine", self._change, undo=self._change_back)
        return self.nic.id

    def succeeded(self, finish: Finish) -> None:
        finish.session.nics.update(self.nic)
        self._tell(finish, messages.NIC_UPDATED)

    def _change(self, doing: Doing) -> JsonValue:
        host_id, after, vm = self._host_and_nic(doing)
        with doing.services.store.read() as session:
            kept = session.nics.get(self.nic.id)
            before = domain_nic(session, kept)
        if host_id is None or not (kept.plugged or self.nic.plugged):
            return None
        if kept.plugged != self.nic.plugged:
            return self._plug(doing) if self.nic.plugged else self._unplug(doing)
        if (before.bridge, kept.linked) != (after.bridge, self.nic.linked):
            _update_device(doing, host_id, vm, after)
        return host_id

    def _change_back(self, doing: Doing) -> JsonValue:
        host_id, after, vm = self._host_and_nic(doing)
        with doing.services.store.read() as session:
            before = domain_nic(session, session.nics.get(self.nic.id))
        if before.nic.plugged != self.nic.plugged:
            return self._switch_back(doing)
        is_changed = (before.bridge, before.nic.linked) != (after.bridge, self.nic.linked)
        if host_id is not None and before.nic.plugged and is_changed:
            _update_device(doing, host_id, vm, before)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateDeactivateVmNic(_NicCommand):
    """``nic.plugged`` says which."""

    action: ClassVar = "ActivateDeactivateVmNic"

    def begin(self, start: Start) -> None:
        vm = self._vm(start.session)
        self._lock(start, vm)
        if self.nic.plugged:
            _require_fit(domain_nic(start.session, self.nic), vm)

    def run(self, flow: Flow) -> JsonValue:
        title = "Plugging it" if self.nic.plugged else "Unplugging it"
        return flow.step(title, self._switch, undo=self._switch_back)

    def succeeded(self, finish: Finish) -> None:
        finish.session.nics.update(self.nic)
        self._tell(finish, messages.NIC_PLUGGED if self.nic.plugged else messages.NIC_UNPLUGGED)

    def _switch(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            if session.nics.get(self.nic.id).plugged is self.nic.plugged:
                return None
        return self._plug(doing) if self.nic.plugged else self._unplug(doing)


def _update_device(doing: Doing, host_id: str, vm: Vm, nic: DomainNic) -> None:
    change: dict[str, Json] = {
        "deviceType": "interface",
        "alias": alias_of(nic.nic.id),
        "linkActive": nic.nic.linked,
        "network": nic.bridge,
    }
    params: Mapping[str, Json] = {"vmID": vm.id, "params": change}
    doing.services.hosts.call(host_id, "VM.updateDevice", params, flow_id=doing.asked.correlation_id)


def new_nic(session: Session, nic: Nic) -> Nic:
    """With an id, and with a MAC address of its cluster's pool if it has none. Raises NoFreeMac, BadMac."""
    mac = read_mac(nic.mac) if nic.mac else new_mac(session, _pool(session, nic))
    return replace(nic, id=str(uuid.uuid4()), mac=mac)


def remove_nic(change: Change, nic_id: str) -> None:
    """Raises NicIsPlugged."""
    nic = change.session.nics.get(nic_id)
    vm = change.session.vms.get(nic.vm_id)
    change.require(Right.CONFIGURE_VM_NETWORK, subject_of(vm.id))
    change.require_unlocked(vm.id)
    if nic.plugged and is_running(vm):
        raise NicIsPlugged
    change.session.nics.remove(nic_id)
    change.tell(messages.NIC_REMOVED, about(vm), vm=vm.name, nic=nic.name, kind=interface_word(nic))


def interface_word(nic: Nic) -> str:
    """As oVirt's events call it."""
    words = {NicInterface.VIRTIO: "VirtIO", NicInterface.RTL8139_VIRTIO: "Dual mode rtl8139, VirtIO"}
    return words.get(nic.interface, str(nic.interface))


def _pool(session: Session, nic: Nic) -> MacPool:
    vm = session.vms.get(nic.vm_id)
    return session.mac_pools.get(session.clusters.get(vm.cluster_id).mac_pool_id)


def _check(start: Start, nic: Nic, vm: Vm, *, before: Nic | None) -> None:
    check_name("Network interface", nic.name, longest=_LONGEST_NAME)
    other = start.session.nics.find(vm_id=vm.id, name=nic.name)
    if other is not None and other.id != nic.id:
        raise NicNameInUse
    if before is None or before.mac != nic.mac:
        owner = start.session.nics.find(mac=nic.mac)
        if owner is not None and owner.id != nic.id and not _pool(start.session, nic).allow_duplicates:
            raise MacInUse(mac=nic.mac)
    if nic.vnic_profile_id is not None and (before is None or before.vnic_profile_id != nic.vnic_profile_id):
        _check_profile(start, nic.vnic_profile_id, vm)
    if nic.plugged and nic.vnic_profile_id is not None:
        _require_fit(domain_nic(start.session, nic), vm)


def _check_profile(start: Start, profile_id: str, vm: Vm) -> None:
    start.require(Right.CONFIGURE_VM_NETWORK, Subject(type=ObjectType.VNIC_PROFILE, id=profile_id))
    profile = start.session.vnic_profiles.get(profile_id)
    used = start.session.cluster_networks.find(cluster_id=vm.cluster_id, network_id=profile.network_id)
    if used is None:
        raise ProfileElsewhere(profile=profile.name, cluster=start.session.clusters.get(vm.cluster_id).name)


def _require_fit(nic: DomainNic, vm: Vm) -> None:
    """Raises UnfitNic for what no host could have."""
    try:
        hotplug_nic_xml(nic, kind=vm.kind)
    except UnfitInterface as error:
        raise UnfitNic(reason=str(error).removeprefix("Cannot run VM. ")) from error
