# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Templates by the stock SDK, of machines of both kinds whose guests have written to their disks."""

import os
from typing import Any

import ovirtsdk4 as sdk
import pytest
from ovirtsdk4 import types

from tests.support.libvirtd import Libvirtd
from tests.support.virtocid import IMAGE
from tests.support.waiting import wait_until
from tests.system.engine.test_disks_of_guests import (
    DOWN,
    KEEPING,
    Place,
    RunningGuest,
    place_fixture,
    stopped,
)

__all__ = ["place_fixture", "stopped"]

pytestmark = [pytest.mark.qemu, pytest.mark.runc]


def _second_domain(place: Place) -> str:
    directory = place.machine.root.path / "var/second"  # where what a guest sees is looked for
    directory.mkdir(mode=0o755)
    os.chown(directory, 36, 36)
    (host,) = place.system.hosts_service().list()
    storage = types.HostStorage(type=types.StorageType.LOCALFS, path=str(directory))
    wanted = types.StorageDomain(name="second", type=types.StorageDomainType.DATA, host=host, storage=storage)
    domains = place.system.storage_domains_service()
    made = domains.add(wanted)
    centers = place.system.data_centers_service()
    below = centers.data_center_service(centers.list()[0].id).storage_domains_service()
    below.add(types.StorageDomain(id=made.id))
    one = below.storage_domain_service(made.id)
    wait_until(lambda: one.get().status is types.StorageDomainStatus.ACTIVE, timeout_seconds=60)
    domains.storage_domain_service(made.id).update(types.StorageDomain(critical_space_action_blocker=0))
    return str(made.id)


def _template(place: Place, service: Any, name: str, **more: Any) -> Any:
    """When it is whole."""
    templates = place.system.templates_service()
    one = templates.template_service(templates.add(types.Template(name=name, vm=service.get(), **more)).id)
    wait_until(lambda: one.get().status is types.TemplateStatus.OK, timeout_seconds=60, what="a template")
    return one


def _made_of(place: Place, template: Any, name: str, **more: Any) -> Any:
    vms = place.system.vms_service()
    cluster = place.system.clusters_service().list()[0]
    wanted = types.Vm(name=name, cluster=cluster, template=types.Template(id=template.get().id), **more)
    service = vms.vm_service(vms.add(wanted).id)
    place.wait(service, DOWN)
    return service


def _disks(place: Place, service: Any) -> dict[str, Any]:
    attached = service.disk_attachments_service().list()
    return {disk.name: disk for disk in (place.connection.follow_link(each.disk) for each in attached)}


def test_a_virtual_machine_made_of_a_template_has_what_its_guest_has_written(
    place: Place, libvirtd: Libvirtd
) -> None:
    """On two storage domains; a second version has what was written since, and each machine writes to its own."""
    second = _second_domain(place)
    service = place.add_vm("master")
    own = [
        place.attach(service, name, kind, bootable=name == "system", active=True)
        for name, kind in (("system", types.DiskFormat.COW), ("logs", types.DiskFormat.RAW))
    ]
    master = RunningGuest(place=place, service=service, libvirtd=libvirtd, disks=tuple(own))
    _write(place, master, 1)
    golden = _template(place, service, "golden")
    _write(place, master, 2)
    version = types.TemplateVersion(base_template=types.Template(id=golden.get().id), version_name="newer")
    newer = _template(place, service, "golden", version=version)
    told = sorted(
        (each.version.version_number, each.version.version_name, each.version.base_template.id)
        for each in place.system.templates_service().list(search="name=golden")
    )
    assert told == [(1, "base version", golden.get().id), (2, "newer", golden.get().id)]

    logs = _disks(place, newer)["logs"]
    there = types.Disk(id=logs.id, storage_domains=[types.StorageDomain(id=second)])
    machines = {
        1: _made_of(place, golden, "old-1"),
        2: _made_of(place, newer, "new-1", disk_attachments=[types.DiskAttachment(disk=there)]),
    }
    assert [each.id for each in _disks(place, machines[2])["logs"].storage_domains] == [second]
    for marker, made in machines.items():
        attachments = made.disk_attachments_service()
        disks = tuple(attachments.attachment_service(each.id) for each in attachments.list())
        guest = RunningGuest(place=place, service=made, libvirtd=libvirtd, disks=disks)
        assert guest.holds(marker)
        _write(place, guest, marker + 10)
        assert guest.holds(marker + 10)
    assert master.holds(2)

    for one in (golden, newer):
        one.remove()
    assert place.system.templates_service().list(search="name=golden") == []
    for each in (service, *machines.values()):
        each.remove()
    assert place.system.disks_service().list(search="name=system or name=logs") == []


def _write(place: Place, guest: RunningGuest, marker: int) -> None:
    """While it runs."""
    guest.start()
    guest.write(marker)
    guest.service.stop()
    place.wait(guest.service, DOWN)


def test_a_container_made_of_a_template_has_what_is_on_its_disks(place: Place) -> None:
    """Of one that has not run yet, of one that has, and of that one's clone."""
    words = {"containerType": "docker", "containerImage": IMAGE}
    service = place.add_vm("box", **words, containerCommand=KEEPING, volumeMap="/data:data")
    place.attach(service, "data", types.DiskFormat.RAW, bootable=False, active=True)
    fresh = _template(place, service, "fresh")
    assert _code(place, service) == "3"
    used = _template(place, service, "used")
    service.clone(vm=types.Vm(name="twin"))
    place.settle()
    vms = place.system.vms_service()
    twin = vms.vm_service(vms.list(search="name=twin")[0].id)
    found = {"fresh-1": _made_of(place, fresh, "fresh-1"), "used-1": _made_of(place, used, "used-1"), "twin": twin}
    properties = [types.CustomProperty(name="containerType", value="")]
    with pytest.raises(sdk.Error, match="container"):
        _made_of(place, used, "no-box", custom_properties=properties)
    assert {name: _code(place, one) for name, one in found.items()} == {"fresh-1": "3", "used-1": "7", "twin": "7"}
    assert _code(place, found["fresh-1"]) == "7"
    for each in (fresh, used, service, *found.values()):
        each.remove()
    assert place.system.disks_service().list(search="name=data") == []


def _code(place: Place, service: Any) -> str:
    """With which it ends, a start later."""
    service.start()
    reason = str(place.wait(service, DOWN).stop_reason)
    return next(code for code in ("3", "7") if code in reason)
