# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What permissions let somebody see and do, on both databases."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from covirt.engine.model.access import (
    SYSTEM,
    Group,
    ObjectType,
    Permission,
    Permit,
    Role,
    Subject,
    User,
)
from covirt.engine.model.disk import Disk, DiskAttachment
from covirt.engine.model.event import Event, Severity
from covirt.engine.model.storage_domain import StorageDomain
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.query import ListQuery, Viewer
from covirt.engine.store.repository import Repository
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store
from tests.support.engine_objects import NOON, add_blank, add_cluster, new_host, new_id, new_vm

RUN, CREATE = "22", "1"


@dataclass(kw_only=True)
class House:
    """Two clusters of one data center each; cook is a user, staff the group that cook is in."""

    session: Session
    cook: str
    staff: str
    kitchen: str
    center: str
    soup: str
    wine: str
    disk: str
    domain: str
    roles: dict[str, str]

    @property
    def viewer(self) -> Viewer:
        return Viewer(principal_ids=frozenset({self.cook, self.staff}))

    def give(self, role: str, kind: ObjectType, object_id: str, *, group: bool = False) -> None:
        holder = {"group_id": self.staff} if group else {"user_id": self.cook}
        subject = Subject(type=kind, id=object_id)
        self.session.permissions.add(Permission(id=new_id(), role_id=self.roles[role], subject=subject, **holder))

    def seen(self, noun: str = "vms") -> set[str]:
        found = getattr(self.session, noun).list(ListQuery(visible_to=self.viewer))
        return {item.name for item in found}

    def may(self, permit: str, kind: ObjectType, object_id: str) -> bool:
        return self.session.permissions.has_permit({self.cook, self.staff}, permit, Subject(type=kind, id=object_id))


@pytest.fixture
def house(store: Store) -> Iterator[House]:
    with store.write() as session:
        kitchen, cellar = add_cluster(session, "kitchen"), add_cluster(session, "cellar")
        add_blank(session)
        soup, wine = new_vm(kitchen, "soup"), new_vm(cellar, "wine")
        for vm in (soup, wine):
            session.vms.add(vm)
        session.hosts.add(new_host(kitchen))
        domain = StorageDomain(id=new_id(), name="shelf", data_center_id=kitchen.data_center_id)
        session.storage_domains.add(domain)
        disk = Disk(
            id=new_id(), name="pot", storage_domain_id=domain.id, image_id=new_id(), provisioned_size_bytes=1 << 20
        )
        session.disks.add(disk)
        session.disk_attachments.add(DiskAttachment(disk_id=disk.id, vm_id=soup.id))
        staff = Group(id=new_id(), name="staff")
        session.groups.add(staff)
        cook = User(id=new_id(), name="cook", principal="cook", group_ids=frozenset({staff.id}))
        session.users.add(cook)
        for number, name in ((RUN, "run_vm"), (CREATE, "create_vm")):
            session.permits.add(Permit(id=number, name=name, administrative=False))
        roles = {}
        for name, permits, contents in (("runner", {RUN}, True), ("creator", {CREATE}, False)):
            role = Role(id=new_id(), name=name, permit_ids=frozenset(permits), shows_contents=contents)
            session.roles.add(role)
            roles[name] = role.id
        for vm in (soup, wine):
            session.events.append(
                Event(id=0, code=1, severity=Severity.NORMAL, time=NOON, description=vm.name, vm_id=vm.id)
            )
        yield House(
            session=session,
            cook=cook.id,
            staff=staff.id,
            kitchen=kitchen.id,
            center=kitchen.data_center_id,
            soup=soup.id,
            wine=wine.id,
            disk=disk.id,
            domain=domain.id,
            roles=roles,
        )


def test_without_permissions_nothing_is_seen(house: House) -> None:
    for noun in ("vms", "clusters", "data_centers", "hosts", "disks", "storage_domains", "networks", "templates"):
        assert house.seen(noun) == set(), noun
    assert house.seen("roles") == {"runner", "creator"}
    assert house.seen("users") == {"cook"}
    assert not house.may(RUN, ObjectType.VM, house.soup)


def test_a_machine_alone(house: House) -> None:
    house.give("runner", ObjectType.VM, house.soup)
    assert house.seen() == {"soup"}
    assert house.seen("disks") == {"pot"}
    assert house.seen("clusters") == set()
    assert house.may(RUN, ObjectType.VM, house.soup)
    assert house.may(RUN, ObjectType.DISK, house.disk)
    assert not house.may(CREATE, ObjectType.VM, house.soup)
    assert not house.may(RUN, ObjectType.VM, house.wine)
    assert not house.may(RUN, ObjectType.CLUSTER, house.kitchen)
    assert house.session.vms.get_visible(house.soup, house.viewer).name == "soup"
    with pytest.raises(NoSuchObject):
        house.session.vms.get_visible(house.wine, house.viewer)
    events = house.session.events.list(ListQuery(visible_to=house.viewer))
    assert [event.description for event in events] == ["soup"]


@pytest.mark.parametrize("group", [False, True])
def test_what_lies_in_a_data_center(house: House, *, group: bool) -> None:
    house.give("runner", ObjectType.DATA_CENTER, house.center, group=group)
    assert house.seen() == {"soup"}
    assert house.seen("clusters") == {"kitchen"}
    assert house.seen("hosts") == {"oven"}
    assert house.seen("storage_domains") == {"shelf"}
    assert house.seen("disks") == {"pot"}
    assert house.seen("networks") == {"kitchen-net"}
    assert house.may(RUN, ObjectType.VM, house.soup)
    assert not house.may(RUN, ObjectType.VM, house.wine)


def test_the_whole_system(house: House) -> None:
    house.give("runner", SYSTEM.type, SYSTEM.id, group=True)
    assert house.seen() == {"soup", "wine"}
    assert house.seen("templates") == {"Blank"}
    assert house.may(RUN, ObjectType.VM, house.wine)
    assert house.may(RUN, SYSTEM.type, SYSTEM.id)
    assert not house.may(CREATE, SYSTEM.type, SYSTEM.id)


def test_who_may_create_in_a_cluster_sees_not_what_is_in_it(house: House) -> None:
    house.give("creator", ObjectType.CLUSTER, house.kitchen)
    assert house.seen("clusters") == {"kitchen"}
    assert house.seen() == set()
    assert house.may(CREATE, ObjectType.CLUSTER, house.kitchen)


def test_searching_finds_no_more_than_is_seen(house: House) -> None:
    house.give("runner", ObjectType.VM, house.soup)
    query = ListQuery(search="name=soup or name=wine", visible_to=house.viewer)
    assert [vm.name for vm in house.session.vms.list(query)] == ["soup"]


def test_a_search_does_not_tell_of_what_is_not_seen(house: House) -> None:
    """Letter by letter, `host.name=o*` would tell the name of a host that may not be seen."""
    house.give("runner", ObjectType.VM, house.soup)
    house.give("creator", ObjectType.CLUSTER, house.kitchen)
    for noun, search in (
        ("vms", "datacenter=kitchen*"),
        ("vms", "clusters.name=k* and datacenters.name=k*"),
        ("disks", "storage.name=shelf"),
        ("disks", "storage.name!=nothing"),
        ("clusters", "hosts.name=o*"),
        ("events", "event_host=oven"),
    ):
        query = ListQuery(search=search, visible_to=house.viewer)
        assert getattr(house.session, noun).list(query) == [], search
    for noun, search in (("vms", "cluster=kitchen"), ("disks", "vms.name=soup"), ("events", "event_vm=soup")):
        query = ListQuery(search=search, visible_to=house.viewer)
        assert len(getattr(house.session, noun).list(query)) == 1, search


def test_every_noun_has_a_rule_that_is_sql(house: House) -> None:
    for name in dir(type(house.session)):
        repository = getattr(house.session, name)
        if isinstance(repository, Repository):
            repository.list(ListQuery(visible_to=house.viewer))
