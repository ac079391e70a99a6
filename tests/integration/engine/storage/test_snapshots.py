# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a machine's disks on a real covirt-host: what was there then is there again, whatever is killed."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from covirt.engine.commands.snapshots.create import CreateSnapshot
from covirt.engine.commands.snapshots.end_preview import CommitSnapshot, UndoSnapshot
from covirt.engine.commands.snapshots.preview import PreviewSnapshot
from covirt.engine.commands.snapshots.remove import RemoveSnapshot
from covirt.engine.commands.snapshots.restore import RestoreSnapshot
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.vm import DiskThen, Snapshot, SnapshotType, VmStatus
from tests.support.engine_objects import NOON
from tests.support.engine_samples import sample_id
from tests.support.killed_engine import is_killed
from tests.support.postgres import Postgres
from tests.support.snapshot_site import MIB, Machine, new_machine
from tests.support.storage_site import Site, new_site

pytestmark = pytest.mark.root


@pytest.fixture(scope="module", name="database_url", params=["sqlite", "postgresql"])
def database_url_fixture(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    url = postgres.new_database()
    yield url
    postgres.remove_database(url)


@pytest.fixture(scope="module", name="place")
def place_fixture(database_url: str) -> Iterator[tuple[Site, str]]:
    with new_site(database_url=database_url) as site:
        domain_id = site.new_domain("data")
        site.api.put(f"storagedomains/{domain_id}", {"critical_space_action_blocker": "0"})
        yield site, domain_id


def test_what_was_there_is_there_again(place: tuple[Site, str]) -> None:
    machine = new_machine(*place, "back")
    first = machine.keep("first", 1)
    assert machine.volumes(0) != {machine.disk(0).image_id}
    machine.keep("second", 2)
    machine.write(3)
    disks = machine.site.api.get(f"{machine.path}/{first}/disks")["disk"]
    assert {each["id"] for each in disks} == set(machine.disk_ids)
    machine.site.api.post(f"{machine.path}/{first}/restore", {}, 200)
    assert machine.holds(1)
    assert machine.names() == ["Active VM", "first"]
    assert all(len(machine.volumes(number)) == 2 for number in range(2))
    machine.write(4)
    assert machine.holds(4)
    machine.site.api.post(f"{machine.path}/{first}/restore", {}, 200)
    assert machine.holds(1)
    assert machine.at_rest()
    assert any("back restored from Snapshot 'first'" in each for each in machine.events(47))


def test_a_clone_has_what_is_now_in_one_volume(place: tuple[Site, str]) -> None:
    machine = new_machine(*place, "cloned")
    machine.keep("first", 1)
    machine.write(2)
    told = machine.site.api.post(f"vms/{machine.vm_id}/clone", {"vm": {"name": "twin"}}, 200)
    twin_id = told["vm"]["id"]
    attached = machine.site.api.get(f"vms/{twin_id}/diskattachments")["disk_attachment"]
    twin = replace(machine, vm_id=twin_id, disk_ids=tuple(each["id"] for each in attached))
    assert twin.holds(2)
    assert [twin.volumes(number) for number in range(2)] == [{twin.disk(number).image_id} for number in range(2)]
    assert twin.names() == ["Active VM"]
    twin.write(3)
    assert machine.holds(2)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_removed_snapshots_leave_what_is_now(place: tuple[Site, str], order: tuple[int, ...]) -> None:
    machine = new_machine(*place, f"removes-{order[0]}-{order[1]}")
    ids = [machine.keep(f"snapshot {number}", number + 1) for number in range(3)]
    machine.write(9)
    for position, number in enumerate(order):
        machine.site.api.delete(f"{machine.path}/{ids[number]}")
        assert machine.holds(9)
        assert machine.at_rest()
        assert all(len(machine.volumes(each)) == 3 - position for each in range(2))
        if position == 1:  # the one that is left has what it had
            machine.site.api.post(f"{machine.path}/{ids[order[2]]}/restore", {}, 200)
            assert machine.holds(order[2] + 1)
            machine.write(9)
    assert machine.names() == ["Active VM"]
    assert [machine.disk(number).format for number in range(2)] == ["raw", "cow"]
    assert len([each for each in machine.events(356) if machine.disk(0).name[:-2] in each]) == 3


def preview(machine: Machine, snapshot_id: str) -> None:
    machine.site.api.post(f"vms/{machine.vm_id}/previewsnapshot", {"snapshot": {"id": snapshot_id}}, 200)


def statuses(machine: Machine) -> dict[str, str]:
    return {each["description"]: each["snapshot_status"] for each in machine.site.api.get(machine.path)["snapshot"]}


def test_a_preview_is_undone(place: tuple[Site, str]) -> None:
    machine = new_machine(*place, "undone")
    first = machine.keep("first", 1)
    machine.keep("second", 2)
    machine.write(3)
    before = [machine.volumes(number) for number in range(2)]
    preview(machine, first)
    assert machine.holds(1)
    machine.write(8)
    assert statuses(machine) == {
        "Active VM": "ok", "Active VM before the preview": "ok", "first": "in_preview", "second": "ok",
    }  # fmt: skip
    machine.site.api.post(f"vms/{machine.vm_id}/undosnapshot", {}, 200)
    assert machine.holds(3)
    assert [machine.volumes(number) for number in range(2)] == before
    assert statuses(machine) == {"Active VM": "ok", "first": "ok", "second": "ok"}
    assert machine.at_rest()
    preview(machine, first)
    assert machine.holds(1)
    machine.site.api.post(f"vms/{machine.vm_id}/undosnapshot", {}, 200)
    assert machine.holds(3)


def test_a_preview_is_committed(place: tuple[Site, str]) -> None:
    machine = new_machine(*place, "committed")
    first = machine.keep("first", 1)
    machine.keep("second", 2)
    machine.write(3)
    preview(machine, first)
    machine.write(8)
    machine.site.api.post(f"vms/{machine.vm_id}/commitsnapshot", {}, 200)
    assert machine.holds(8)
    assert statuses(machine) == {"Active VM": "ok", "first": "ok"}
    assert all(len(machine.volumes(number)) == 2 for number in range(2))
    machine.site.api.delete(f"{machine.path}/{first}")
    assert machine.holds(8)
    assert [machine.disk(number).format for number in range(2)] == ["raw", "cow"]


def test_what_a_preview_keeps_from_being_done(place: tuple[Site, str]) -> None:
    machine, other = new_machine(*place, "previews"), new_machine(*place, "other", ("raw",))
    api, vm = machine.site.api, f"vms/{machine.vm_id}"
    kept, elsewhere = machine.keep("kept", 1), other.keep("elsewhere", 1)
    assert "is not previewing one" in api.post(f"{vm}/commitsnapshot", {}, 409)
    assert "is not previewing one" in api.post(f"{vm}/undosnapshot", {}, 409)
    assert elsewhere in api.post(f"{vm}/previewsnapshot", {"snapshot": {"id": elsewhere}}, 404)
    assert "disks" in api.post(
        f"{vm}/previewsnapshot", {"snapshot": {"id": kept}, "disks": {"disk": [{"id": machine.disk_ids[0]}]}}, 400
    )
    preview(machine, kept)
    for refused in (
        api.post(machine.path, {"description": "never"}, 409),
        api.post(f"{machine.path}/{kept}/restore", {}, 409),
        api.delete(f"{machine.path}/{kept}", 409),
        api.delete(vm, 409),
        api.post(f"{vm}/previewsnapshot", {"snapshot": {"id": kept}}, 409),
    ):
        assert "is previewing a Snapshot: kept" in refused
    assert "remove them first: kept" in api.delete(f"{vm}/diskattachments/{machine.disk_ids[0]}", 409)
    machine.change(status=VmStatus.UP, host_id=machine.site.hosts.host_id)
    assert "VM is running" in api.post(f"{vm}/undosnapshot", {}, 409)
    machine.change(status=VmStatus.DOWN)
    api.post(f"{vm}/undosnapshot", {}, 200)
    machine.change(status=VmStatus.SUSPENDED)
    assert "suspended status" in api.post(machine.path, {"description": "never"}, 409)
    machine.change(status=VmStatus.DOWN)


def test_a_snapshot_of_some_disks(place: tuple[Site, str]) -> None:
    machine = new_machine(*place, "some")
    api = machine.site.api
    machine.write(1)
    chosen = {"disk_attachment": [{"disk": {"id": machine.disk_ids[0]}}]}
    some = api.post(machine.path, {"description": "some", "disk_attachments": chosen})["id"]
    (then,) = api.get(f"{machine.path}/{some}/disks")["disk"]
    assert (then["id"], then["format"], machine.disk(0).format) == (machine.disk_ids[0], "raw", "cow")
    assert [len(machine.volumes(number)) for number in range(2)] == [2, 1]
    machine.keep("both", 2)
    machine.write(3)
    api.post(f"{machine.path}/{some}/restore", {}, 200)
    first, second = (replace(machine, disk_ids=(disk_id,)) for disk_id in machine.disk_ids)
    assert first.holds(1)
    assert second.holds(3)
    assert machine.names() == ["Active VM", "both", "some"]
    (both,) = [each["id"] for each in api.get(machine.path)["snapshot"] if each["description"] == "both"]
    assert [each["id"] for each in api.get(f"{machine.path}/{both}/disks")["disk"]] == [machine.disk_ids[1]]
    api.post(f"{machine.path}/{both}/restore", {}, 200)
    assert second.holds(2)
    for each in (some, both):
        api.delete(f"{machine.path}/{each}")
    assert first.holds(1)
    assert second.holds(2)
    assert [len(machine.volumes(number)) for number in range(2)] == [1, 1]
    assert [machine.disk(number).format for number in range(2)] == ["raw", "cow"]


def test_what_is_refused(place: tuple[Site, str]) -> None:
    machine = new_machine(*place, "refuses")
    kept = machine.keep("kept", 1)
    api, disk_id = machine.site.api, machine.disk_ids[0]
    (active,) = [each for each in api.get(machine.path)["snapshot"] if each["snapshot_type"] == "active"]
    assert "what VM refuses is now" in api.delete(f"{machine.path}/{active['id']}", 409)
    assert "what VM refuses is now" in api.post(f"{machine.path}/{active['id']}/restore", {}, 409)
    assert "remove them first: kept" in api.delete(f"disks/{disk_id}", 409)
    assert "remove them first: kept" in api.delete(f"vms/{machine.vm_id}/diskattachments/{disk_id}", 409)
    chosen = {"description": "some", "disk_attachments": {"disk_attachment": [{"disk": {"id": kept}}]}}
    assert "none of the VM's disks" in api.post(machine.path, chosen, 400)
    machine.change(status=VmStatus.UP, host_id=machine.site.hosts.host_id)
    memory = {"description": "live", "persist_memorystate": "true"}
    assert "not its memory" in api.post(machine.path, memory, 409)
    machine.change(status=VmStatus.POWERING_DOWN, host_id=machine.site.hosts.host_id)
    assert "powering_down status" in api.post(machine.path, {"description": "live"}, 409)
    machine.change(status=VmStatus.UP, host_id=machine.site.hosts.host_id)
    assert "VM is running" in api.post(f"{machine.path}/{kept}/restore", {}, 409)
    machine.change(status=VmStatus.DOWN)
    assert machine.names() == ["Active VM", "kept"]
    assert machine.holds(1)
    with machine.site.store.write() as session:
        session.vms.update(replace(session.vms.get(machine.vm_id), kind=VmKind.CONTAINER))
    assert "copy its disks instead" in api.post(machine.path, {"description": "no"}, 409)


def test_a_preallocated_disk_is_one_again(place: tuple[Site, str]) -> None:
    machine = new_machine(*place, "full", ("raw",), sparse=False)
    kept = machine.keep("kept", 1)
    assert machine.disk(0).sparse
    machine.site.api.delete(f"{machine.path}/{kept}")
    assert (machine.disk(0).format, machine.disk(0).sparse) == ("raw", False)


def test_there_must_be_room(place: tuple[Site, str]) -> None:
    site, domain_id = place
    machine = new_machine(site, domain_id, "tight")
    kept = machine.keep("kept", 1)
    machine.write(2)

    def tell(available_bytes: int, used_bytes: int) -> None:
        with site.store.write() as session:
            facts = session.storage_domains.get(domain_id).facts
            facts = replace(facts, available_bytes=available_bytes, used_bytes=used_bytes)
            session.storage_domains.update_facts(domain_id, facts)

    tell(MIB, 1)
    assert "Low disk space" in site.api.post(machine.path, {"description": "never"}, 409)
    tell(MIB, 1)
    assert "up to 2 MiB" in site.api.delete(f"{machine.path}/{kept}", 409)
    assert machine.names() == ["Active VM", "kept"]
    assert machine.at_rest()
    tell(0, 0)
    site.api.post(f"{machine.path}/{kept}/restore", {}, 200)
    assert machine.holds(1)
    site.api.delete(f"{machine.path}/{kept}")


def test_a_machine_goes_with_all_volumes_of_its_disks(place: tuple[Site, str]) -> None:
    machine = new_machine(*place, "goes")
    machine.keep("kept", 1)
    images = [machine.volume(number).parent for number in range(2)]
    assert "remove these first: kept" in machine.site.api.delete(f"vms/{machine.vm_id}?detach_only=true", 409)
    machine.site.api.delete(f"vms/{machine.vm_id}")
    assert not any(image.exists() for image in images)


def test_a_snapshot_that_cannot_be_made_leaves_nothing(place: tuple[Site, str]) -> None:
    machine = new_machine(*place, "fails")
    machine.write(1)
    with machine.site.store.write() as session:
        disk = session.disks.get(machine.disk_ids[1])
        session.disks.update(replace(disk, image_id=sample_id("nowhere")))
    machine.site.api.post(machine.path, {"description": "never"}, 409)
    with machine.site.store.write() as session:
        session.disks.update(disk)
    assert machine.names() == ["Active VM"]
    assert machine.at_rest()
    assert machine.holds(1)
    assert all(len(machine.volumes(number)) == 1 for number in range(2))
    assert any("'never' creation for VM 'fails'" in each for each in machine.events(69))


def test_what_a_removal_had_begun_to_change_is_not_restored(place: tuple[Site, str]) -> None:
    machine = new_machine(*place, "begun")
    kept = machine.keep("kept", 1)
    machine.write(2)
    with machine.site.store.write() as session:
        snapshot = session.snapshots.get(kept)
        disks = tuple(replace(each, then=DiskThen.MERGING) for each in snapshot.disks)
        session.snapshots.update(replace(snapshot, disks=disks))
    assert "remove it again" in machine.site.api.post(f"{machine.path}/{kept}/restore", {}, 409)
    assert machine.at_rest()
    machine.site.api.delete(f"{machine.path}/{kept}")
    assert machine.holds(2)


@pytest.fixture(scope="module", name="killed")
def killed_fixture(request: pytest.FixtureRequest, database_url: str) -> Iterator[Machine]:
    """Its own engine has no operations any more: each is another process'. The other site has the database."""
    own = request.getfixturevalue("postgres").new_database() if database_url else ""
    with new_site(database_url=own) as site:
        domain_id = site.new_domain("data")
        site.api.put(f"storagedomains/{domain_id}", {"critical_space_action_blocker": "0"})
        machine = new_machine(site, domain_id, "killed", ("raw",))
        site.commands.stop()
        yield machine


@pytest.mark.parametrize("kill", [2, 5, 8, 11, 14])
def test_an_engine_that_is_killed_after_a_call(killed: Machine, kill: int) -> None:
    machine = killed
    machine.write(1)
    kept = [Snapshot(id=str(uuid.uuid4()), description=name, vm_id=machine.vm_id, date=NOON) for name in "ab"]
    was_killed = is_killed(machine.site, CreateSnapshot(snapshot=kept[0]), kill)
    machine.write(2)
    was_killed |= is_killed(machine.site, CreateSnapshot(snapshot=kept[1]), kill)
    machine.write(3)
    was_killed |= is_killed(machine.site, RestoreSnapshot(snapshot_id=kept[1].id), kill)
    assert machine.holds(2)
    assert len(machine.volumes(0)) == 3
    vm_id = machine.vm_id
    was_killed |= is_killed(machine.site, PreviewSnapshot(snapshot_id=kept[0].id), kill)
    assert machine.holds(1)
    was_killed |= is_killed(machine.site, UndoSnapshot(vm_id=vm_id, snapshot_id=kept[0].id), kill)
    assert machine.holds(2)
    assert len(machine.volumes(0)) == 3
    was_killed |= is_killed(machine.site, PreviewSnapshot(snapshot_id=kept[1].id), kill)
    assert len(machine.volumes(0)) == 4
    was_killed |= is_killed(machine.site, CommitSnapshot(vm_id=vm_id, snapshot_id=kept[1].id), kill)
    assert len(machine.volumes(0)) == 3
    for snapshot in kept:
        was_killed |= is_killed(machine.site, RemoveSnapshot(snapshot_id=snapshot.id), kill)
        assert machine.holds(2)
    assert len(machine.volumes(0)) == 1
    assert machine.at_rest()
    assert was_killed
    with machine.site.store.read() as session:
        assert [each.type for each in session.snapshots.list()] == [SnapshotType.ACTIVE]
