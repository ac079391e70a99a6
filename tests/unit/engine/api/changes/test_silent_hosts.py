# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host does what it is asked, and its answer is lost: what is written down is what the host has."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from covirt.engine.hosts.errors import HostUncertain, HostUnreachable
from covirt.engine.model.disk import Disk, DiskAttachment, DiskInterface
from covirt.rpc.jsonrpc import Json
from tests.support import engine_samples as s
from tests.unit.engine.api.changes.test_vms import Kitchen, quick

__all__ = ["quick"]


def _lose(kitchen: Kitchen, verb: str, error: Exception | None = None) -> None:
    """The next answer."""
    act = kitchen.hosts.answers[verb]
    assert callable(act)
    acting: Callable[[Mapping[str, Json]], Json] = act

    def lost(params: Mapping[str, Json]) -> Json:
        acting(params)
        kitchen.hosts.answers[verb] = acting
        raise error or HostUncertain(host="oven", verb=verb, reason="it is silent for 9 s")

    kitchen.hosts.answers[verb] = lost


def _running(kitchen: Kitchen) -> tuple[str, str]:
    """A machine with one interface, and its path."""
    vm_id = kitchen.add_bootable()
    kitchen.act(vm_id, "start")
    return vm_id, f"vms/{vm_id}/nics"


def test_an_interface_that_is_added(quick: Kitchen) -> None:
    vm_id, path = _running(quick)
    before = set(quick.host.macs[vm_id])
    _lose(quick, "VM.hotplugNic")
    quick.api.post(path, {"name": "nic2", "vnic_profile": {"id": s.PROFILE_ID}}, 503)
    assert quick.host.macs[vm_id] == before
    assert [nic["name"] for nic in quick.api.get(path)["nic"]] == ["nic1"]


def test_an_interface_that_is_switched(quick: Kitchen) -> None:
    vm_id, path = _running(quick)
    nic = quick.add_nic(vm_id, name="nic2")
    both = set(quick.host.macs[vm_id])
    for ask, where, body in ((quick.api.post, f"{nic}/deactivate", {}), (quick.api.put, nic, {"plugged": "false"})):
        _lose(quick, "VM.hotunplugNic")
        ask(f"{path}/{where}", body, 503)
        assert quick.host.macs[vm_id] == both
        assert quick.api.get(f"{path}/{nic}")["plugged"] == "true"
    quick.api.post(f"{path}/{nic}/deactivate", {}, 200)
    one = set(quick.host.macs[vm_id])
    _lose(quick, "VM.hotplugNic")
    quick.api.post(f"{path}/{nic}/activate", {}, 503)
    assert quick.host.macs[vm_id] == one < both
    _lose(quick, "VM.updateDevice")
    quick.api.post(f"{path}/{nic}/activate", {}, 200)
    quick.api.put(f"{path}/{nic}", {"linked": "false"}, 503)
    links: list[Any] = [each["params"] for each in quick.hosts.asked("VM.updateDevice")]
    assert [link["linkActive"] for link in links] == [False, True]


def test_a_host_whose_agent_is_restarted_in_the_middle_of_a_start(quick: Kitchen) -> None:
    vm_id = quick.add_bootable()
    _lose(quick, "VM.getStats", HostUnreachable(host="oven", verb="VM.getStats", reason="Connection refused"))
    quick.act(vm_id, "start")
    assert quick.status(vm_id) == "up"
    assert len(quick.hosts.asked("VM.create")) == 1


def test_a_host_that_stays_silent_in_the_middle_of_a_start(quick: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covirt.engine.commands.vms.run._PATIENCE_SECONDS", 0.0)
    vm_id = quick.add_bootable()
    quick.hosts.answers["VM.getStats"] = HostUnreachable(host="oven", verb="VM.getStats", reason="Connection refused")
    assert "Connection refused" in quick.act(vm_id, "start", 503)
    assert not quick.host.guests


def test_a_disk_that_is_activated(quick: Kitchen) -> None:
    """Otherwise it could be removed while a guest has it."""
    vm_id, _ = _running(quick)
    plugged: set[str] = set()

    def xmls(params: Mapping[str, Json]) -> Json:
        del params
        disks = "".join(
            f"<disk type='file' device='disk'><source file='/rhev/x/images/{each}/v'/><target dev='vda'/>"
            f"<serial>{each}</serial></disk>"
            for each in plugged
        )
        return {vm_id: f"<domain><devices>{disks}</devices></domain>"}

    def plug(params: Mapping[str, Json]) -> Json:
        plugged.add(disk.id)
        return params["vmID"]

    def unplug(params: Mapping[str, Json]) -> Json:
        plugged.remove(disk.id)
        return params["vmID"]

    quick.hosts.answers |= {"Host.dumpxmls": xmls, "VM.hotplugDisk": plug, "VM.hotunplugDisk": unplug}
    with quick.store.write() as session:
        for each in session.disk_attachments.list():
            if each.disk_id == s.DISK_ID:
                session.disk_attachments.take_off(each)
        disk: Disk = session.disks.get(s.DISK_ID)
        session.disk_attachments.add(
            DiskAttachment(disk_id=disk.id, vm_id=vm_id, active=False, interface=DiskInterface.VIRTIO)
        )
    path = f"vms/{vm_id}/diskattachments/{disk.id}"
    _lose(quick, "VM.hotplugDisk")
    quick.api.put(path, {"active": "true"}, 503)
    assert not plugged
    assert quick.api.get(path)["active"] == "false"
    quick.api.put(path, {"active": "true"})
    _lose(quick, "VM.hotunplugDisk")
    quick.api.put(path, {"active": "false"}, 503)
    assert plugged == {disk.id}
    assert quick.api.get(path)["active"] == "true"
