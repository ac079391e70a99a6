# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks through the API: made, changed, extended and removed by a real covirt-host, and looked at on its storage."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from covirt.common.process import run
from covirt.engine.hosts.errors import HostUnreachable
from covirt.engine.model.hardware import CustomProperty, Hardware, VmKind
from covirt.engine.model.vm import Cdrom, Vm, VmFacts, VmStatus
from covirt.rpc.jsonrpc import Json
from tests.support.engine_samples import sample_id
from tests.support.storage_site import Site, new_site

pytestmark = pytest.mark.root

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A site with a storage domain."""

    site: Site
    domain_id: str

    def add(self, name: str, status: int = 201, **more: object) -> Any:
        body = {
            "alias": name,
            "format": "raw",
            "provisioned_size": 8 * _MIB,
            "storage_domains": {"storage_domain": [{"name": "data"}]},
            **more,
        }
        return self.site.api.post("disks", body, status)

    def image(self, disk: Mapping[str, Any]) -> Path:
        return self.site.covirt_host.root.path / "data" / self.domain_id / "images" / str(disk["id"])

    def volume(self, disk: Mapping[str, Any]) -> dict[str, Any]:
        """As qemu-img sees it."""
        path = self.image(disk) / str(disk["image_id"])
        done = run(["qemu-img", "info", "--output", "json", path], timeout_seconds=30)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def events(self, code: int) -> list[str]:
        with self.site.store.read() as session:
            return [event.description for event in session.events.list() if event.code == code]

    def vm(self, name: str, **facts: Any) -> str:
        kind = VmKind.CONTAINER if name.startswith("box") else VmKind.VIRTUAL_MACHINE
        properties = (CustomProperty(name="containerType", value="docker"),) if kind is VmKind.CONTAINER else ()
        vm_id: str = sample_id(name)
        with self.site.store.write() as session:
            if session.vms.find(id=vm_id) is None:
                (cluster,) = session.clusters.list()
                session.vms.add(
                    Vm(
                        id=vm_id,
                        name=name,
                        cluster_id=cluster.id,
                        kind=kind,
                        created_at=datetime.now(UTC),
                        hardware=Hardware(custom_properties=properties),
                    )
                )
            session.vms.update_facts(vm_id, VmFacts(**facts))
        return vm_id


@pytest.fixture(scope="module", name="place")
def place_fixture() -> Iterator[Place]:
    with new_site() as site:
        domain_id = site.new_domain("data")
        site.api.put(f"storagedomains/{domain_id}", {"critical_space_action_blocker": "0"})
        yield Place(site=site, domain_id=domain_id)


def test_the_life_of_a_disk(place: Place) -> None:
    api = place.site.api
    disk = place.add("logs", description="what was said")
    assert (disk["status"], disk["format"], disk["sparse"]) == ("ok", "raw", "true")
    assert place.volume(disk)["virtual-size"] == 8 * _MIB
    assert api.get(f"storagedomains/{place.domain_id}/disks")["disk"][0]["id"] == disk["id"]
    place_of = {"name": "data", "provisioned_size": 16 * _MIB, "description": "", "format": "raw"}
    changed = api.put(f"disks/{disk['id']}", place_of)
    assert (changed["alias"], changed["description"], changed["provisioned_size"]) == ("data", "", 16 * _MIB)
    assert place.volume(disk)["virtual-size"] == 16 * _MIB
    assert "cannot be smaller" in str(api.put(f"disks/{disk['id']}", {"provisioned_size": _MIB}, 400))
    assert "The format of a disk" in str(api.put(f"disks/{disk['id']}", {"format": "cow"}, 409))
    api.delete(f"disks/{disk['id']}")
    api._asked("GET", f"disks/{disk['id']}", None, 404)
    assert not place.image(disk).exists()
    assert place.events(2014) == ["Disk data was successfully removed from domain data (User admin@internal-authz)."]


def test_a_disc_in_a_drive(place: Place) -> None:
    """One that a running machine sees stays whole; one that is removed is in no drive afterwards."""
    site, disc = place.site, place.add("disc", content_type="iso")
    vm_id = place.vm("reader", status=VmStatus.UP, host_id=site.hosts.host_id)
    with site.store.write() as session:
        session.cdroms.add(Cdrom(id=sample_id("drive"), vm_id=vm_id, file_id=disc["id"], current_file_id=disc["id"]))
    assert "disc is used by reader, which run" in str(site.api.delete(f"disks/{disc['id']}", 409))
    upload = {"disk": {"id": disc["id"]}, "direction": "upload"}
    assert "disc is used by reader, which run" in str(site.api.post("imagetransfers", upload, 409))
    assert site.api.get(f"disks/{disc['id']}")["status"] == "ok"
    place.vm("reader", status=VmStatus.DOWN)
    site.api.delete(f"disks/{disc['id']}")
    with site.store.write() as session:
        drive = session.cdroms.get(sample_id("drive"))
        assert (drive.file_id, drive.current_file_id) == (None, None)
        session.vms.remove(vm_id)


def test_formats(place: Place) -> None:
    api = place.site.api
    thin = place.add("thin", format="cow")
    assert place.volume(thin)["format"] == "qcow2"
    assert thin["qcow_version"] == "qcow2_v3"
    thick = api.post(
        f"storagedomains/{place.domain_id}/disks",
        {"name": "thick", "format": "raw", "sparse": "false", "provisioned_size": 2 * _MIB},
    )
    assert thick["actual_size"] >= 2 * _MIB
    assert api.put(f"disks/{thin['id']}", {"provisioned_size": 32 * _MIB})["provisioned_size"] == 32 * _MIB
    assert place.volume(thin)["virtual-size"] == 32 * _MIB
    for disk in (thin, thick):
        api.delete(f"disks/{disk['id']}")


def test_what_is_refused(place: Place) -> None:
    api = place.site.api
    assert "required for add" in str(api.post("disks", {"name": "x"}, 400))
    assert "COW Preallocated" in str(place.add("x", 400, format="cow", sparse="false"))
    assert "between 1 byte" in str(place.add("x", 400, provisioned_size=0))
    assert "Only raw disks can be shared" in str(place.add("x", 400, format="cow", shareable="true"))
    for name in ("id", "image_id"):
        chosen = {name: "00000000-0000-4000-8000-000000000077"}
        assert f"chooses the {name} of a new disk" in str(place.add("x", 400, **chosen))
    assert "needs the format cow" in str(place.add("x", 400, backup="incremental"))
    assert "There is no Storage Domain" in str(
        place.add("x", 404, storage_domains={"storage_domain": [{"name": "nowhere"}]})
    )
    assert "only data and iso".lower() in str(place.add("x", 400, content_type="ovf_store")).lower()
    api.put(f"storagedomains/{place.domain_id}", {"critical_space_action_blocker": "1000000"})
    with place.site.store.write() as session:
        domain = session.storage_domains.get(place.domain_id)
        session.storage_domains.update_facts(domain.id, replace(domain.facts, available_bytes=1 << 30))
    assert "Low disk space on Storage Domain data: 1 GiB are free" in str(place.add("x", 409))
    api.put(f"storagedomains/{place.domain_id}", {"critical_space_action_blocker": "0"})
    assert api.get("disks") == {}


def test_a_creation_that_fails_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host makes it, and goes away before it can say so: it is removed when the host is back."""
    hosts = place.site.hosts
    call, silent = hosts.call, iter([True] * 3)

    def flaky(host_id: str, verb: str, params: Mapping[str, Json] | None = None, **named: Any) -> Json:
        if verb == "Volume.getInfo":
            raise HostUnreachable(host="one", verb=verb, reason="the cable is out")
        if verb == "Image.delete" and next(silent, False):
            raise HostUnreachable(host="one", verb=verb, reason="the cable is out")
        return call(host_id, verb, params, **named)

    monkeypatch.setattr(hosts, "call", flaky)
    monkeypatch.setattr("covirt.engine.commands.flow._FIRST_PAUSE_SECONDS", 0.05)
    assert "the cable is out" in str(place.add("gone", 503))
    monkeypatch.undo()
    assert place.site.api.get("disks") == {}
    images = place.site.covirt_host.root.path / "data" / place.domain_id / "images"
    assert list(images.iterdir()) == []


def test_attachments(place: Place) -> None:
    """Of machines that are down: the whole life, and what does not go together."""
    api = place.site.api
    web, other, box = place.vm("web"), place.vm("other"), place.vm("box")
    attachments = f"vms/{web}/diskattachments"
    new = {"alias": "root", "format": "cow", "provisioned_size": 4 * _MIB}
    root = api.post(attachments, {"interface": "virtio", "bootable": "true", "disk": new})
    assert (root["bootable"], root["active"], root["interface"]) == ("true", "true", "virtio")
    assert api.get(f"disks/{root['id']}")["status"] == "ok"
    logs = place.add("logs")
    second = {"interface": "virtio_scsi", "bootable": "true", "disk": {"id": logs["id"]}}
    assert "boots from root already" in str(api.post(attachments, second, 409))
    api.post(attachments, {**second, "bootable": "false"})
    assert "is already attached to VM web" in str(api.post(attachments, {**second, "bootable": "false"}, 409))
    assert "is attached to web already, and is not shareable" in str(
        api.post(f"vms/{other}/diskattachments", {**second, "bootable": "false"}, 409)
    )
    assert "raw and of data" in str(
        api.post(f"vms/{box}/diskattachments", {"interface": "virtio", "disk": {**new, "alias": "x"}}, 400)
    )
    api.put(f"disks/{logs['id']}", {"shareable": "true"})
    assert "belongs to virtual machines" in str(
        api.post(f"vms/{box}/diskattachments", {"interface": "virtio", "disk": {"id": logs["id"]}}, 409)
    )
    api.post(f"vms/{other}/diskattachments", {**second, "bootable": "false"})
    assert "attached to several machines: other, web" in str(
        api.put(f"disks/{logs['id']}", {"shareable": "false"}, 409)
    )
    api.put(f"{attachments}/{logs['id']}", {"active": "false", "disk": {"provisioned_size": 9 * _MIB}})
    assert api.get(f"{attachments}/{logs['id']}")["active"] == "false"
    assert api.get(f"vms/{other}/diskattachments/{logs['id']}")["active"] == "true"
    assert api.get(f"disks/{logs['id']}")["provisioned_size"] == 9 * _MIB
    place.vm("web", status=VmStatus.UP, host_id=place.site.hosts.host_id)
    assert "is used by web, which run" in str(api.delete(f"disks/{root['id']}", 409))
    place.vm("web")
    api.delete(f"{attachments}/{logs['id']}")
    assert [each["id"] for each in api.get(attachments)["disk_attachment"]] == [root["id"]]
    assert api.get(f"vms/{other}/diskattachments")["disk_attachment"][0]["id"] == logs["id"]
    api.delete(f"{attachments}/{root['id']}?detach_only=false")
    assert [disk["id"] for disk in api.get("disks")["disk"]] == [logs["id"]]
    api.delete(f"disks/{logs['id']}")
    assert api.get(f"vms/{other}/diskattachments") == {}
    with place.site.store.read() as session:
        assert not session.disks.list()
        session.commands.check_unlocked([web, other, box])


def test_a_disk_is_of_one_kind_for_good(place: Place) -> None:
    """Whatever a virtual machine may have written no container's host mounts, and no guest rewrites a volume."""
    api = place.site.api
    vm, box = place.vm("keeper"), place.vm("box2")
    disks = {name: place.add(name) for name in ("of-vm", "of-box")}
    for name, owner, other in (("of-vm", vm, box), ("of-box", box, vm)):
        attachment = {"interface": "virtio", "disk": {"id": disks[name]["id"]}}
        api.post(f"vms/{owner}/diskattachments", attachment)
        api.delete(f"vms/{owner}/diskattachments/{disks[name]['id']}")
        api.put(f"disks/{disks[name]['id']}", {"description": "detached"})
        refused = str(api.post(f"vms/{other}/diskattachments", attachment, 409))
        assert "also while it is detached" in refused
        assert ("virtual machines" if owner is vm else "containers") in refused
        api.post(f"vms/{owner}/diskattachments", attachment)
    for vm_id in (vm, box):
        api.delete(f"vms/{vm_id}")
    assert api.get("disks") == {}


def test_a_machine_goes_with_its_disks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    api = place.site.api
    going, other = place.vm("going"), place.vm("other2")
    own, shared, kept = place.add("own"), place.add("shared", shareable="true"), place.add("kept")
    for disk in (own, shared):
        api.post(f"vms/{going}/diskattachments", {"interface": "virtio", "disk": {"id": disk["id"]}})
    api.post(f"vms/{other}/diskattachments", {"interface": "virtio", "disk": {"id": kept["id"]}})
    api.delete(f"vms/{going}")
    api._asked("GET", f"vms/{going}", None, 404)
    assert not place.image(own).exists()
    assert {disk["id"] for disk in api.get("disks")["disk"]} == {shared["id"], kept["id"]}
    download = api.post("imagetransfers", {"disk": {"id": kept["id"]}, "direction": "download"})
    for path in (f"vms/{other}?detach_only=true", f"vms/{other}/diskattachments/{kept['id']}"):
        assert "kept is locked" in str(api.delete(path, 409))
    api.post(f"imagetransfers/{download['id']}/cancel", {}, 200)
    api.delete(f"vms/{other}?detach_only=true")
    assert place.image(kept).exists()

    unlucky = place.vm("unlucky")
    attachment = {"interface": "virtio", "disk": {"id": kept["id"]}}
    api.post(f"vms/{unlucky}/diskattachments", attachment)
    hosts = place.site.hosts
    call = hosts.call

    def flaky(host_id: str, verb: str, params: Mapping[str, Json] | None = None, **named: Any) -> Json:
        if verb == "Image.delete":
            raise HostUnreachable(host="one", verb=verb, reason="the cable is out")
        return call(host_id, verb, params, **named)

    monkeypatch.setattr(hosts, "call", flaky)
    api.delete(f"vms/{unlucky}")
    monkeypatch.undo()
    assert [disk["status"] for disk in api.get("disks")["disk"] if disk["id"] == kept["id"]] == ["illegal"]
    assert "its disks kept could not be" in place.events(15060)[0]
    for disk in (kept, shared):
        api.delete(f"disks/{disk['id']}")
    with place.site.store.read() as session:
        session.commands.check_unlocked([going, other, unlucky])


def test_a_disk_whose_answer_is_lost_is_added_once(place: Place) -> None:
    """By clients that give their request a key: at once, and again."""
    client, path = place.site.api.client, "disks"
    body = {
        "alias": "once",
        "format": "raw",
        "provisioned_size": 8 * _MIB,
        "storage_domains": {"storage_domain": [{"name": "data"}]},
    }

    def add(key: str, **more: object) -> tuple[int, Any]:
        headers = {"Accept": "application/json", "Idempotency-Key": key}
        answer = client.post(path, json={**body, **more}, headers=headers)
        return answer.status_code, answer.json()

    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(add, ["k-1"] * 4), add("k-1")]
    assert {status for status, _ in answers} <= {201, 202}
    assert len({disk["id"] for _, disk in answers}) == 1
    status, refused = add("k-1", alias="other")
    assert (status, "each request has a key of its own" in refused["detail"]) == (409, True)
    assert add("k 1")[0] == 400
    other = add("k-2")[1]
    disks = [disk for disk in place.site.api.get("disks")["disk"] if disk["name"] == "once"]
    assert {disk["id"] for disk in disks} == {answers[0][1]["id"], other["id"]}
    for disk in disks:
        place.site.api.delete(f"disks/{disk['id']}")
