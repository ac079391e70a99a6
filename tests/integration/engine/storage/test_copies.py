# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks are copied and moved between two storage domains of a real covirt-host, whatever is killed meanwhile."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from covirt.common.process import run
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.disks.copy_disk import CopyDisk
from covirt.engine.commands.disks.errors import DiskRefused
from covirt.engine.commands.disks.many import planned_copies
from covirt.engine.commands.disks.move_disk import MoveDisk
from covirt.engine.commands.templates.add import AddVmTemplate
from covirt.engine.commands.templates.remove import RemoveVmTemplate
from covirt.engine.commands.vms.add_with_disks import AddVmWithDisks
from covirt.engine.model.disk import Disk, DiskAttachment, DiskInterface, DiskStatus
from covirt.engine.model.event import Event
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.template import Template, TemplateStatus
from covirt.engine.model.vm import BLANK_TEMPLATE_ID, Vm, VmFacts, VmStatus
from covirt.engine.store.query import ListQuery
from tests.support.engine_objects import NOON
from tests.support.engine_samples import ADMIN_ID, sample_id
from tests.support.killed_engine import is_killed
from tests.support.storage_site import Site, new_site

pytestmark = pytest.mark.root

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A site with two storage domains."""

    site: Site
    domains: tuple[str, str]

    def add(self, name: str, image_format: str = "raw") -> tuple[Disk, bytes]:
        """With something random in it."""
        domain = {"storage_domain": [{"id": self.domains[0]}]}
        body = {"alias": name, "format": image_format, "provisioned_size": 4 * _MIB, "storage_domains": domain}
        disk = self.disk(self.site.api.post("disks", body)["id"])
        data = os.urandom(4 * _MIB)
        raw = self.site.covirt_host.root.path / "random"
        raw.write_bytes(data)
        argv = ["qemu-img", "convert", "-n", "-O", str(self._kind(disk)), str(raw), str(self.volume(disk))]
        run(argv, timeout_seconds=60)
        return disk, data

    def disk(self, disk_id: str) -> Disk:
        with self.site.store.read() as session:
            found: Disk = session.disks.get(disk_id)
            return found

    def volume(self, disk: Disk, domain_id: str = "") -> Path:
        domain = domain_id or disk.storage_domain_id
        directory = "data" if domain == self.domains[0] else "other"
        return self.site.covirt_host.root.path / directory / domain / "images" / disk.id / disk.image_id

    def read(self, disk: Disk) -> bytes:
        """What a guest sees."""
        raw = self.site.covirt_host.root.path / "read"
        argv = ["qemu-img", "convert", "-f", self._kind(disk), "-O", "raw", str(self.volume(disk)), str(raw)]
        run(argv, timeout_seconds=60)
        return raw.read_bytes()

    def attach(self, disk: Disk, name: str, **facts: Any) -> None:
        with self.site.store.write() as session:
            (cluster,) = session.clusters.list()
            vm = Vm(
                id=sample_id(name),
                name=name,
                cluster_id=cluster.id,
                created_at=NOON,
                facts=VmFacts(**facts),
            )
            session.vms.add(vm)
            session.disk_attachments.add(
                DiskAttachment(disk_id=disk.id, vm_id=vm.id, active=True, interface=DiskInterface.VIRTIO)
            )

    def act(self, source: Disk, action: str, status: int = 200, **body: Any) -> Any:
        wanted = {"storage_domain": {"name": "other"}, **body}
        return self.site.api.post(f"disks/{source.id}/{action}", wanted, status)

    def all_events(self) -> list[Event]:
        with self.site.store.read() as session:
            return list(session.events.list())

    def events(self, code: int) -> list[str]:
        return [event.description for event in self.all_events() if event.code == code]

    @staticmethod
    def _kind(disk: Disk) -> str:
        return "qcow2" if disk.format == "cow" else "raw"


@pytest.fixture(scope="module", name="place")
def place_fixture() -> Iterator[Place]:
    with new_site() as site:
        domains = (site.new_domain("data"), site.new_domain("other"))
        for each in domains:
            site.api.put(f"storagedomains/{each}", {"critical_space_action_blocker": "0"})
        yield Place(site=site, domains=domains)


@pytest.mark.parametrize(("image_format", "wanted"), [("raw", "raw"), ("cow", "cow"), ("raw", "cow"), ("cow", "raw")])
def test_a_copy_has_what_is_in_the_disk(place: Place, image_format: str, wanted: str) -> None:
    disk, data = place.add(f"{image_format}-{wanted}", image_format)
    with place.site.store.write() as session:
        session.disks.update(replace(disk, kind=VmKind.CONTAINER))
    told = place.act(disk, "copy", disk={"name": "second", "format": wanted, "sparse": "true"})
    assert told["status"] == "complete"
    copied = place.disk(told["disk"]["id"])
    assert (copied.name, copied.storage_domain_id, copied.format) == ("second", place.domains[1], wanted)
    assert (copied.status, copied.kind) == (DiskStatus.OK, VmKind.CONTAINER)
    assert copied.actual_size_bytes > 0
    assert place.read(copied) == data == place.read(disk)
    assert place.disk(disk.id).status is DiskStatus.OK
    here = place.act(disk, "copy", storage_domain={"name": "data"})["disk"]["id"]
    assert place.read(place.disk(here)) == data
    assert place.events(2006)


def test_a_moved_disk_is_where_it_was_moved_to(place: Place) -> None:
    disk, data = place.add("traveller")
    place.attach(disk, "home")
    place.act(disk, "move")
    moved = place.disk(disk.id)
    assert (moved.storage_domain_id, moved.image_id, moved.status) == (place.domains[1], disk.image_id, DiskStatus.OK)
    assert place.read(moved) == data
    assert not place.volume(disk).parent.exists()
    profiles = place.site.api.get(f"storagedomains/{place.domains[1]}/diskprofiles")["disk_profile"]
    assert moved.disk_profile_id in {each["id"] for each in profiles}
    place.site.api.post(
        f"storagedomains/{place.domains[1]}/disks/{disk.id}/move", {"storage_domain": {"name": "data"}}, 200
    )
    assert place.read(place.disk(disk.id)) == data
    assert not place.volume(moved).parent.exists()
    assert any("finished moving disk traveller to domain other" in each for each in place.events(2010))


def test_what_cannot_be_copied_or_moved(place: Place) -> None:
    disk, data = place.add("busy")
    place.attach(disk, "runner", status=VmStatus.UP, host_id=place.site.hosts.host_id)
    for action in ("copy", "move"):
        assert "busy is used by runner, which run" in place.act(disk, action, 409)
        assert "storage_domain.id|name" in place.act(disk, action, 400, storage_domain=None)
        assert "nowhere" in place.act(disk, action, 404, storage_domain={"name": "nowhere"})
    assert "lies on Storage Domain data already" in place.act(disk, "move", 409, storage_domain={"name": "data"})
    free, _ = place.add("free")
    assert "COW Preallocated" in place.act(free, "copy", 400, disk={"format": "cow", "sparse": "false"})
    assert place.disk(disk.id).status is DiskStatus.OK
    assert place.read(disk) == data


def test_a_copy_that_fails_leaves_nothing(place: Place) -> None:
    """What is damaged cannot be read; the disk is as it was."""
    disk, _ = place.add("damaged", "cow")
    place.volume(disk).write_bytes(b"no qcow2" * 1024)
    before = len(place.site.api.get("disks")["disk"])
    for action in ("copy", "move"):
        assert "SDM.copy_data" in place.act(disk, action, 409)
    assert any("finished with error copying disk damaged to domain other" in each for each in place.events(2007))
    assert any("has failed to move disk damaged to domain other" in each for each in place.events(2011))
    assert len(place.site.api.get("disks")["disk"]) == before
    assert (place.disk(disk.id).status, place.disk(disk.id).storage_domain_id) == (DiskStatus.OK, place.domains[0])
    assert not place.volume(disk, place.domains[1]).parent.exists()


def test_a_template_and_machines_of_it(place: Place) -> None:
    api = place.site.api
    source = api.post("vms", {"name": "master", "cluster": {"name": "Default"}, "template": {"name": "Blank"}})
    disk, data = place.add("system", "cow")
    api.post(
        f"vms/{source['id']}/diskattachments", {"disk": {"id": disk.id}, "interface": "virtio", "bootable": "true"}
    )
    made = api.post("templates", {"name": "golden", "description": "of master", "vm": {"id": source["id"]}})
    assert (made["status"], made["description"]) == ("ok", "of master")
    (attachment,) = api.get(f"templates/{made['id']}/diskattachments")["disk_attachment"]
    assert (attachment["bootable"], attachment["interface"]) == ("true", "virtio")
    of_template = place.disk(attachment["disk"]["id"])
    assert of_template.id != disk.id
    assert place.read(of_template) == data
    assert "already in use" in api.post("templates", {"name": "golden", "vm": {"name": "master"}}, 409)

    machines = [
        api.post("vms", {"name": name, "cluster": {"name": "Default"}, "template": {"name": "golden"}})["id"]
        for name in ("one", "two")
    ]
    twin = api.post(f"vms/{source['id']}/clone", {"vm": {"name": "twin"}}, 200)["vm"]["id"]
    for vm_id in (*machines, twin):
        assert api.get(f"vms/{vm_id}")["status"] == "down"
        (copied,) = api.get(f"vms/{vm_id}/diskattachments")["disk_attachment"]
        assert copied["bootable"] == "true"
        assert place.read(place.disk(copied["disk"]["id"])) == data
    assert api.get(f"vms/{machines[0]}")["original_template"]["id"] == made["id"]

    path = f"disks/{of_template.id}"
    refused = [
        api.delete(path, 409),
        api.put(path, {"provisioned_size": 64 * _MIB}, 409),
        api.post(f"vms/{twin}/diskattachments", {"disk": {"id": of_template.id}, "interface": "virtio"}, 409),
        api.post(f"{path}/move", {"storage_domain": {"name": "other"}}, 409),
        api.post("imagetransfers", {"disk": {"id": of_template.id}, "direction": "upload", "format": "cow"}, 409),
    ]
    assert all("belongs to the template(s) golden" in str(each) for each in refused)
    api.put(f"templates/{made['id']}", {"name": "gold"})
    assert "Blank is every installation's" in api.delete("templates/00000000-0000-0000-0000-000000000000", 409)
    api.delete(f"templates/{made['id']}")
    assert not place.volume(of_template).parent.exists()
    assert place.read(place.disk(copied["disk"]["id"])) == data
    assert {48, 51, 49, 251, 37, 53} <= {event.code for event in place.all_events()}


def _machine(place: Place, name: str, *disks: Disk) -> str:
    body = {"name": name, "cluster": {"name": "Default"}, "template": {"name": "Blank"}}
    vm_id = str(place.site.api.post("vms", body)["id"])
    for disk in disks:
        attachment = {"disk": {"id": disk.id}, "interface": "virtio"}
        place.site.api.post(f"vms/{vm_id}/diskattachments", attachment)
    return vm_id


def _attachments(place: Place, path: str) -> list[Any]:
    found = place.site.api.get(f"{path}/diskattachments").get("disk_attachment", [])
    return [place.disk(each["disk"]["id"]) for each in found]


def _on(disk: Disk, domain: str, **facts: Any) -> Any:
    """How a body says where the copy of a disk shall lie, and what shall be different."""
    wanted = {"id": disk.id, "storage_domains": {"storage_domain": [{"name": domain}]}, **facts}
    return {"disk_attachments": {"disk_attachment": [{"disk": wanted}]}}


def test_templates_machines_and_clones_on_other_storage_domains(place: Place) -> None:
    api, (here, there) = place.site.api, place.domains
    (first, data), (second, other) = place.add("first"), place.add("second", "cow")
    vm_id = _machine(place, "mover", first, second)
    body = {"name": "spread", "storage_domain": {"name": "other"}}
    made = api.post("templates", {**body, "vm": {"id": vm_id, **_on(second, "data", alias="kept")}})
    disks = {disk.name: disk for disk in _attachments(place, f"templates/{made['id']}")}
    assert {name: disk.storage_domain_id for name, disk in disks.items()} == {"first": there, "kept": here}
    assert (place.read(disks["first"]), place.read(disks["kept"])) == (data, other)
    profiles = api.get(f"storagedomains/{there}/diskprofiles")["disk_profile"]
    assert disks["first"].disk_profile_id in {each["id"] for each in profiles}

    machine = {"name": "spread-1", "cluster": {"name": "Default"}, "template": {"id": made["id"]}}
    wanted = {**machine, "storage_domain": {"id": here}, **_on(disks["first"], "other", format="cow")}
    of_template = {disk.name: disk for disk in _attachments(place, f"vms/{api.post('vms', wanted)['id']}")}
    assert of_template["kept"].storage_domain_id == here
    first_copy = of_template["first"]
    assert (first_copy.storage_domain_id, first_copy.format, first_copy.qcow_version) == (there, "cow", "qcow2_v3")
    assert place.read(first_copy) == data

    twin = {"vm": {"name": "mover-2"}, "storage_domain": {"name": "other"}}
    twin_id = api.post(f"vms/{vm_id}/clone", twin, 200)["vm"]["id"]
    assert {disk.storage_domain_id for disk in _attachments(place, f"vms/{twin_id}")} == {there}


def test_copies_that_cannot_lie_where_they_shall(place: Place) -> None:
    """Nothing is left of them."""
    api = place.site.api
    (disk, _), (stranger, _) = place.add("fixed"), place.add("stranger")
    vm_id = _machine(place, "fixed", disk)
    before = len(api.get("disks")["disk"])

    def template(status: int, **vm: Any) -> str:
        return str(api.post("templates", {"name": "fixed", "vm": {"id": vm_id, **vm}}, status))

    assert "which VM fixed has not" in template(400, **_on(stranger, "data"))
    assert "nowhere" in template(404, **_on(disk, "nowhere"))
    assert "covirt has no quotas" in template(400, **_on(disk, "other", quota={"id": disk.id}))
    assert "COW Preallocated" in template(400, **_on(disk, "other", format="cow", sparse="false"))
    assert "extend it afterwards" in template(400, **_on(disk, "other", provisioned_size=8 * _MIB))
    twice = _on(disk, "other")
    (attachment,) = twice["disk_attachments"]["disk_attachment"]
    attachment["disk"]["storage_domains"]["storage_domain"].append({"name": "data"})
    assert "name one in its storage_domains" in template(400, **twice)
    attachment["disk"] = {"alias": "nobody"}
    assert "DiskAttachment [disk.id] required" in template(400, **twice)
    blank = {"name": "none", "cluster": {"name": "Default"}, "template": {"name": "Blank"}, **_on(disk, "data")}
    assert "without 'disk_attachments'" in str(api.post("vms", blank, 400))
    assert len(api.get("disks")["disk"]) == before
    assert place.disk(disk.id).status is DiskStatus.OK


def test_a_template_whose_second_disk_cannot_be_read(place: Place) -> None:
    """Nothing of it is left, and the machine is as it was."""
    good, data = place.add("good")
    bad, _ = place.add("bad", "cow")
    vm_id = _machine(place, "halves", good, bad)
    place.volume(bad).write_bytes(b"no qcow2" * 1024)
    before = {each["id"] for each in place.site.api.get("disks")["disk"]}
    assert "SDM.copy_data" in place.site.api.post("templates", {"name": "half", "vm": {"id": vm_id}}, 409)
    assert "SDM.copy_data" in place.site.api.post(f"vms/{vm_id}/clone", {"vm": {"name": "half"}}, 409)
    assert {each["id"] for each in place.site.api.get("disks")["disk"]} == before
    names = [each["name"] for kind in ("templates", "vms") for each in place.site.api.get(kind)[kind[:-1]]]
    assert "half" not in names
    assert place.read(good) == data
    assert place.disk(good.id).status is DiskStatus.OK
    assert place.site.api.get(f"vms/{vm_id}")["status"] == "down"


def test_what_a_template_is_not_made_of_or_removed_for(place: Place) -> None:
    api = place.site.api
    disk, _ = place.add("only")
    vm_id = _machine(place, "lonely", disk)
    with place.site.store.read() as session:
        vm = session.vms.get(vm_id)
    made = str(uuid4())
    template = Template(id=made, name="stale", cluster_id=vm.cluster_id, created_at=NOON, base_template_id=made)
    with pytest.raises(DiskRefused, match="have changed in this moment"):
        place.site.commands.run(_administrator(), AddVmTemplate(template=template, vm_id=vm_id, copies=()))
    template_id = api.post("templates", {"name": "of-lonely", "vm": {"id": vm_id}})["id"]
    (attachment,) = api.get(f"templates/{template_id}/diskattachments")["disk_attachment"]
    of_template = place.disk(attachment["disk"]["id"])
    with place.site.store.write() as session:
        session.disks.update(replace(of_template, status=DiskStatus.LOCKED))  # as while it is downloaded
    assert "Disk only is locked" in api.delete(f"templates/{template_id}", 409)
    with place.site.store.write() as session:
        session.disks.update(of_template)
    copied = api.post("vms", {"name": "busy-one", "cluster": {"name": "Default"}, "template": {"id": template_id}})
    with place.site.store.write() as session:
        session.vms.update(replace(session.vms.get(copied["id"]), image_locked=True))  # by something of its own
    api.delete(f"templates/{template_id}")


def test_copies_need_room_for_all_of_them(place: Place) -> None:
    (first, _), (second, _) = place.add("wide-1"), place.add("wide-2")
    vm_id = _machine(place, "wide", first, second)
    domain_id = place.domains[0]
    with place.site.store.write() as session:
        for disk in (first, second):
            session.disks.update(replace(session.disks.get(disk.id), sparse=False))
        before = session.storage_domains.get(domain_id).facts
        session.storage_domains.update_facts(domain_id, replace(before, available_bytes=6 * _MIB, used_bytes=_MIB))
    try:
        body = {"name": "wide", "vm": {"id": vm_id}}
        assert "Low disk space on Storage Domain data" in place.site.api.post("templates", body, 409)
        with place.site.store.write() as session:
            session.storage_domains.update_facts(domain_id, replace(before, available_bytes=_MIB, used_bytes=_MIB))
        thin, _ = place.add("thin")  # its size on storage was written down when it was empty
        here = {"name": "data"}
        assert "Low disk space on Storage Domain data" in place.act(thin, "copy", 409, storage_domain=here)
        assert place.disk(thin.id).status is DiskStatus.OK
    finally:
        with place.site.store.write() as session:
            session.storage_domains.update_facts(domain_id, before)


def _administrator() -> Asked:
    return Asked(
        user_id=ADMIN_ID, user_name="admin", principal_ids=frozenset({ADMIN_ID}), address="", correlation_id=""
    )


@pytest.fixture(scope="module", name="killed")
def killed_fixture() -> Iterator[Place]:
    """With two disks; its own engine has no operations any more: each is another process'."""
    with new_site() as site:
        domains = (site.new_domain("data"), site.new_domain("other"))
        for each in domains:
            site.api.put(f"storagedomains/{each}", {"critical_space_action_blocker": "0"})
        place = Place(site=site, domains=domains)
        for number in range(2):
            place.add(f"disk-{number}")
        site.commands.stop()
        yield place


def test_an_engine_that_is_killed_after_each_call(killed: Place) -> None:
    place = killed
    (disk, data), (second, other) = (_named(place, f"disk-{number}") for number in range(2))
    for kill in (1, 2, 3, 4, 6, 9):
        copied = replace(disk, id=str(uuid4()), image_id=str(uuid4()), storage_domain_id=place.domains[1])
        command = CopyDisk(source_id=disk.id, disk=copied)
        was_killed = is_killed(place.site, command, kill)
        assert place.disk(copied.id).status is DiskStatus.OK
        assert place.read(copied) == data
        target = place.domains[1] if second.storage_domain_id == place.domains[0] else place.domains[0]
        moving = MoveDisk(disk_id=second.id, from_id=second.storage_domain_id, storage_domain_id=target)
        was_killed |= is_killed(place.site, moving, kill)
        moved = place.disk(second.id)
        assert (moved.status, moved.storage_domain_id) == (DiskStatus.OK, target)
        assert place.read(moved) == other
        assert not place.volume(second).parent.exists()
        second = moved
        assert was_killed


def test_a_template_and_a_clone_whose_engine_is_killed(killed: Place) -> None:
    """After it the machine is free, and each copy is whole."""
    place, (disk, data) = killed, _attached(killed)
    for kill in (1, 3, 5):
        made, twin = str(uuid4()), str(uuid4())
        with place.site.store.read() as session:
            vm = session.vms.get(sample_id("master"))
            attached = session.disk_attachments.list(ListQuery(where={"vm_id": vm.id}))
            to_template = planned_copies(session, attached, template_id=made)
            to_twin = tuple(
                replace(copy, disk=replace(copy.disk, storage_domain_id=place.domains[1]))
                for copy in planned_copies(session, attached, vm_id=twin)
            )
        template = Template(
            id=made, name=f"golden-{kill}", cluster_id=vm.cluster_id, created_at=NOON, base_template_id=made
        )
        assert is_killed(place.site, AddVmTemplate(template=template, vm_id=vm.id, copies=to_template), kill)
        clone = replace(vm, id=twin, name=f"twin-{kill}")
        assert is_killed(place.site, AddVmWithDisks(vm=clone, source_id=vm.id, copies=to_twin), kill)
        with place.site.store.read() as session:
            session.commands.check_unlocked([vm.id, made, twin])
            assert session.templates.get(made).status is TemplateStatus.OK
            assert not session.vms.get(twin).image_locked
        for copied in (*to_template, *to_twin):
            assert place.disk(copied.disk.id).status is DiskStatus.OK
            assert place.read(place.disk(copied.disk.id)) == data
        of_template = _made_of(place, made, f"made-{kill}", kill)
        assert place.read(of_template) == data
        assert is_killed(place.site, RemoveVmTemplate(template_id=made), 1)
        assert not place.volume(to_template[0].disk).parent.exists()
        assert place.disk(disk.id).status is DiskStatus.OK


def _named(place: Place, name: str) -> tuple[Disk, bytes]:
    """The first of that name."""
    with place.site.store.read() as session:
        here = [each for each in session.disks.list() if each.storage_domain_id == place.domains[0]]
    disk = next(each for each in here if each.name == name)
    return disk, place.read(disk)


def _attached(place: Place) -> tuple[Disk, bytes]:
    disk, data = _named(place, "disk-0")
    place.attach(disk, "master")
    return disk, data


def _made_of(place: Place, template_id: str, name: str, kill: int) -> Disk:
    """The disk of a machine that is made of the template."""
    with place.site.store.read() as session:
        template = session.templates.get(template_id)
        attached = session.disk_attachments.list(ListQuery(where={"template_id": template_id}))
        vm = Vm(
            id=str(uuid4()),
            name=name,
            cluster_id=str(template.cluster_id),
            template_id=template_id,
            original_template_id=template_id,
            created_at=NOON,
        )
        (copy,) = copies = planned_copies(session, attached, vm_id=vm.id)
    assert is_killed(place.site, AddVmWithDisks(vm=vm, copies=copies), kill)
    with place.site.store.read() as session:
        made = session.vms.get(vm.id)
    assert (made.template_id, made.original_template_id) == (BLANK_TEMPLATE_ID, template_id)
    assert not made.image_locked
    return place.disk(copy.disk.id)
