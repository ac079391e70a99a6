# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every verb on a Vm, on each kind: docs/host-vm-verbs.md line by line, on guests that run."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin
from uuid import uuid4

import pytest
from pydantic import BaseModel

from covirt.host.virt.kinds import Kind
from covirt.hostapi.errors import CallRefused, Code
from covirt.hostapi.table import VERBS
from tests.support import engine_xml
from tests.support.guest import TinyGuest
from tests.support.host_vms import HostVms, container_xml, machine_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.network import LinuxBridge
from tests.support.roots import new_root
from tests.support.virtocid import Virtocid
from tools.vm_verbs.page import PAGE, rows

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

# What ends a guest comes after everything else; a Vm is created to begin with.
LAST = ("VM.reset", "VM.shutdown", "VM.destroy")
NEVER_ANSWERED = (Code.NO_SUCH_METHOD, Code.INTERNAL_ERROR, Code.INVALID_PARAMS, Code.UNSUPPORTED)


# Where any text will not do.
GIVEN: dict[str, dict[str, Any]] = {"VM.updateDevice": {"deviceType": "interface"}}


def smallest(model: type[BaseModel], vm_id: str) -> dict[str, Any]:
    """Parameters with no more than what is required."""
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name == "vm_id":
            values[field.alias or name] = vm_id
        elif field.is_required():
            values[field.alias or name] = _value(field.annotation, vm_id)
    return values


def _value(kind: Any, vm_id: str) -> Any:
    if get_origin(kind) in (dict, list):
        return get_origin(kind)()
    kinds = [one for one in get_args(kind) or (kind,) if one is not type(None)]
    if isinstance(kinds[0], type) and issubclass(kinds[0], BaseModel):
        return smallest(kinds[0], vm_id)
    return {int: 1, bool: False, dict: {}, list: []}.get(kinds[0], "text")


def answered(host: HostVms, verb: str, vm_id: str) -> int:
    """The code of a call's answer."""
    try:
        parameters = smallest(VERBS[verb].params, vm_id)
        host.call(verb, **{**parameters, "params": {**parameters.get("params", {}), **GIVEN.get(verb, {})}})
    except CallRefused as refused:
        return refused.code
    return 0


@pytest.fixture(scope="module")
def host(libvirtd: Libvirtd, virtocid_daemon: Virtocid) -> Iterator[HostVms]:
    with new_root() as root, serve_vms(root, oci_uri=virtocid_daemon.uri, qemu_uri=libvirtd.uri) as running:
        yield running


def test_the_page_is_true() -> None:
    assert PAGE.stale() == ""


def test_what_is_no_uuid_is_no_vm(host: HostVms) -> None:
    """As Vdsm answers, so that an engine forgets it."""
    for verb in ("VM.getStats", "VM.destroy", "VM.pause"):
        assert host.refusal(verb, vmID="no/uuid").code == Code.NO_SUCH_VM, verb


def test_the_host_s_own_devices(host: HostVms) -> None:
    found = host.call("Host.hostdevListByCaps")
    assert found["computer"] == {"params": {"capability": "system"}}
    [loopback] = [name for name in found if name.startswith("net_lo_")]
    assert found[loopback]["params"] == {"capability": "net", "parent": "computer"}
    assert host.call("Host.hostdevListByCaps", caps=["system"]) == {"computer": found["computer"]}


@pytest.mark.parametrize("kind", Kind)
def test_its_xml_is_told_and_a_hash_tells_when_it_has_changed(
    host: HostVms, tiny_guest: TinyGuest, linux_bridge: LinuxBridge, kind: Kind
) -> None:
    xml = machine_xml(tiny_guest, "known") if kind is Kind.MACHINE else container_xml("known", "sleep 1000")
    vm_id = host.run(xml)
    before = host.stats(vm_id)["hash"]
    assert host.events(vm_id)[0]["hash"] == before
    told = host.call("Host.dumpxmls", vmList=[vm_id, str(uuid4())])
    assert told == {vm_id: host.vms.get(vm_id).domain().XMLDesc(0)}
    assert host.call("Host.dumpxmls", vmList=[]) == {}

    mac = "52:54:00:79:00:31"
    host.call("VM.hotplugNic", vmID=vm_id, params={"xml": engine_xml.nic_xml(linux_bridge.name, mac)})
    assert host.stats(vm_id)["hash"] != before
    assert mac in host.call("Host.dumpxmls", vmList=[vm_id])[vm_id]
    host.call("VM.destroy", vmID=vm_id)


@pytest.mark.parametrize("kind", Kind)
def test_every_verb(host: HostVms, tiny_guest: TinyGuest, kind: Kind) -> None:
    xml = machine_xml(tiny_guest, "verbs") if kind is Kind.MACHINE else container_xml("verbs", "sleep 1000")
    vm_id = host.run(xml)
    before = host.vms.get(vm_id).domain().XMLDesc(0)
    refused = [row for row in rows() if kind in row.refused]
    allowed = [row.verb for row in rows() if kind not in row.refused and row.verb != "VM.create"]
    for row in refused:
        answer = host.refusal(row.verb, **smallest(VERBS[row.verb].params, vm_id))
        assert answer.code == Code.UNSUPPORTED, row.verb
        assert row.refused[kind] in answer.message
    assert host.vms.get(vm_id).domain().XMLDesc(0) == before
    assert len(host.statuses(vm_id)) == 1
    for verb in sorted(allowed, key=lambda verb: (verb in LAST, LAST.index(verb) if verb in LAST else 0)):
        assert answered(host, verb, vm_id) not in NEVER_ANSWERED, verb
    assert host.status(vm_id) is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("text", "vmParams must be an object"),
        ({}, "vmParams.xml is missing"),
        ({"xml": 7}, "vmParams.xml must be a text"),
        ({"xml": "<domain"}, "XML cannot be used"),
        ({"xml": ""}, "XML cannot be used"),
    ],
)
def test_settings_that_are_none_have_vdsms_code(host: HostVms, settings: object, reason: str) -> None:
    with pytest.raises(CallRefused) as refused:
        host.call("VM.create", vmID="", vmParams=settings)
    assert refused.value.code == 100
    assert refused.value.message.startswith("General Exception: {'reason': ")
    assert reason in refused.value.message
