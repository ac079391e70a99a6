# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine is made of, but its disks: NICs, CD-ROM, consoles, and what the guest says it has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from covirt.engine.api.call import Call
from covirt.engine.api.changes import vms as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.loading import by_parent, each, empty, nothing
from covirt.engine.api.resources.statistics import NIC_STATISTICS
from covirt.engine.api.resources.values import named, reference
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.vm import Cdrom, GraphicsFacts, Nic, ReportedDevice, Vm
from covirt.engine.store.query import ListQuery

_FILTER_PARAMETERS: Final = "parameters of network filters"


def nic_node(nic: Nic) -> Node:
    values: dict[str, Value] = {
        **named(nic),
        "interface": str(nic.interface),
        "linked": nic.linked,
        "plugged": nic.plugged,
        "mac": {"address": nic.mac} if nic.mac else None,
        "synced": True,
        "vnic_profile": reference("VnicProfile", nic.vnic_profile_id),
        "vm": reference("Vm", nic.vm_id),
        "template": reference("Template", nic.template_id),
    }
    return Node(type="Nic", id=nic.id, values=values)


def _cdroms(call: Call, items: Sequence[tuple[str, Cdrom]]) -> Sequence[Node]:
    return [_cdrom_node(cdrom, current=call.params.current) for _, cdrom in items]


def _cdrom_node(cdrom: Cdrom, *, current: bool) -> Node:
    file_id = cdrom.current_file_id if current else cdrom.file_id
    file = Node(type="File", id=file_id) if file_id else None
    values: dict[str, Value] = {
        "file": file,
        "vm": reference("Vm", cdrom.vm_id),
        "template": reference("Template", cdrom.template_id),
    }
    return Node(type="Cdrom", id=cdrom.id, values=values)


def _vms(call: Call, ids: Sequence[str]) -> Sequence[Vm]:
    vms: Sequence[Vm] = call.session.vms.list(ListQuery(where={"id": tuple(ids)}))
    return vms


def _consoles(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    """Those of the running machine; of one that is down, what it will have."""
    return {vm.id: [(vm.id, each) for each in _graphics(vm, current=call.params.current)] for vm in _vms(call, ids)}


def _graphics(vm: Vm, *, current: bool) -> Sequence[GraphicsFacts]:
    if vm.kind is VmKind.CONTAINER:
        return ()
    intended = (GraphicsFacts(protocol=str(vm.hardware.display_type), address=""),)
    return vm.facts.graphics if current else vm.facts.graphics or intended


def _console_node(item: tuple[str, GraphicsFacts]) -> Node:
    vm_id, facts = item
    values: dict[str, Value] = {
        "protocol": facts.protocol,
        "address": facts.address or None,
        "port": facts.port,
        "tls_port": facts.tls_port,
        "vm": reference("Vm", vm_id),
    }
    return Node(type="GraphicsConsole", id=console_id(item), values=values)


def console_id(item: tuple[str, GraphicsFacts]) -> str:
    """oVirt's: the protocol's name in hexadecimal."""
    return item[1].protocol.encode().hex()


def _reported(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    return {vm.id: [(vm.id, device) for device in vm.facts.reported_devices] for vm in _vms(call, ids)}


def _reported_node(item: tuple[str, ReportedDevice]) -> Node:
    vm_id, device = item
    ips: list[Value] = [
        {"address": address, "version": "v6" if ":" in address else "v4"} for address in device.ip_addresses
    ]
    values: dict[str, Value] = {
        "name": device.name,
        "mac": {"address": device.mac} if device.mac else None,
        "ips": ips,
        "type": "network",
        "vm": reference("Vm", vm_id),
    }
    return Node(type="ReportedDevice", id=reported_id(item), values=values)


def reported_id(item: tuple[str, ReportedDevice]) -> str:
    """The same for the same interface of the same machine."""
    return str(uuid5(NAMESPACE_OID, f"{item[0]} {item[1].name} {item[1].mac}"))


REPORTED_DEVICES = Collection(
    path="reporteddevices", type="ReportedDevice", show=each(_reported_node), below=_reported, key=reported_id
)
CONSOLES = Collection(
    path="graphicsconsoles",
    type="GraphicsConsole",
    show=each(_console_node),
    below=_consoles,
    key=console_id,
    uuids=False,
    actions={"proxyticket": changes.proxy_ticket, "ticket": changes.set_ticket},
)


def _reported_of_nics(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    """Of a NIC: what the guest says of the interface with its MAC address."""
    nics: Sequence[Nic] = call.session.nics.list(ListQuery(where={"id": tuple(ids)}))
    machines = {vm.id: vm for vm in _vms(call, [nic.vm_id for nic in nics if nic.vm_id])}
    return {
        nic.id: [
            (nic.vm_id, device)
            for device in (machines[nic.vm_id].facts.reported_devices if nic.vm_id in machines else ())
            if device.mac.lower() == nic.mac.lower()
        ]
        for nic in nics
    }


def _nics(column: str, children: tuple[Collection, ...]) -> Collection:
    below = by_parent(lambda session: session.nics, column)
    return Collection(path="nics", type="Nic", show=each(nic_node), below=below, children=children)


def _changed_nics(nics: Collection) -> Collection:
    return replace(
        nics,
        add=changes.add_nic,
        update=changes.update_nic,
        remove=changes.remove_nic,
        actions={"activate": changes.plug_nic(plugged=True), "deactivate": changes.plug_nic(plugged=False)},
    )


def _drives(column: str) -> Collection:
    below = by_parent(lambda session: session.cdroms, column)
    return Collection(path="cdroms", type="Cdrom", show=_cdroms, below=below)


NICS_OF_VM = _changed_nics(
    _nics(
        "vm_id",
        (
            Collection(
                path="reporteddevices",
                type="ReportedDevice",
                show=each(_reported_node),
                below=_reported_of_nics,
                key=reported_id,
            ),
            NIC_STATISTICS,
            Collection(
                **empty("networkfilterparameters", "NetworkFilterParameter", refused_add=_FILTER_PARAMETERS),
                below=nothing,
            ),
        ),
    )
)
NICS_OF_TEMPLATE = _nics("template_id", ())
CDROMS_OF_VM = replace(_drives("vm_id"), update=changes.update_disc)
CDROMS_OF_TEMPLATE = _drives("template_id")
