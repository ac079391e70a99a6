# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Searches find what they say, on both databases, and refuse what they do not know."""

import dataclasses
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, text

from covirt.engine.model.affinity import Tag, TaggedType
from covirt.engine.model.event import Event, Severity
from covirt.engine.model.vm import VmFacts, VmStatus
from covirt.engine.search.errors import BadSearch
from covirt.engine.store.query import ListQuery
from covirt.engine.store.repository import Repository
from covirt.engine.store.searchable import SEARCHABLE
from covirt.engine.store.selection import narrowed
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store
from covirt.engine.store.tables import groups
from tests.support.engine_objects import NOON, add_blank, add_cluster, new_host, new_id, new_vm


@pytest.fixture
def session(store: Store) -> Iterator[Session]:
    with store.write() as writing:
        kitchen, cellar = add_cluster(writing, "kitchen"), add_cluster(writing, "cellar")
        add_blank(writing)
        oven = new_host(kitchen, "oven")
        writing.hosts.add(oven)
        vms = {name: new_vm(kitchen, name) for name in ("Soup", "soup_2", "tea 100%", "Größe")}
        vms["wine"] = dataclasses.replace(
            new_vm(cellar, "wine"), description="red [dry]", created_at=datetime(2025, 1, 2, 3, tzinfo=UTC)
        )
        for vm in vms.values():
            writing.vms.add(vm)
        writing.vms.update_facts(vms["Soup"].id, VmFacts(status=VmStatus.UP, host_id=oven.id))
        tag = Tag(id=new_id(), name="hot")
        writing.tags.add(tag)
        pair = {"tag_id": tag.id, "type": TaggedType.VM, "object_id": vms["Soup"].id}
        writing.connection.execute(insert(groups.taggings).values(pair))
        for message in ("VM Soup started", "VM Soup stopped"):
            writing.events.append(
                Event(
                    id=0,
                    code=32,
                    severity=Severity.NORMAL,
                    time=NOON,
                    description=message,
                    vm_id=vms["Soup"].id,
                    correlation_id="abc",
                )
            )
        yield writing


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("name=SOUP", ["Soup"]),
        ("name='TEA 100%'", ["tea 100%"]),
        ("name!=SOUP and name!=WINE and name!=TEA*", ["Größe", "soup_2"]),
        ("name='SOUP_2' sortby name desc", ["soup_2"]),
        ("name=soup?2", []),
        ("name=größe", ["Größe"]),
    ],
)
def test_case_is_passed_over(session: Session, search: str, names: list[str]) -> None:
    assert _found(session, search, case_sensitive=False) == names


@pytest.mark.parametrize("case_sensitive", [True, False])
@pytest.mark.parametrize("noun", ["vms", "disks", "templates"])
def test_a_name_is_found_by_an_index(session: Session, noun: str, *, case_sensitive: bool) -> None:
    repository: Repository[object] = getattr(session, noun)
    query = ListQuery(search="name=soup", case_sensitive=case_sensitive)
    statement = narrowed(repository._select(), repository, query)
    if session.connection.dialect.name == "postgresql":
        session.connection.execute(text("SET LOCAL enable_seqscan = off"))  # a few rows are read as a whole otherwise
    explain = "EXPLAIN QUERY PLAN" if session.connection.dialect.name == "sqlite" else "EXPLAIN"
    compiled = str(statement.compile(session.connection, compile_kwargs={"literal_binds": True}))
    rows = session.connection.exec_driver_sql(f"{explain} {compiled}".replace("%", "%%")).all()
    plan = "\n".join(str(row[-1]) for row in rows)
    assert re.search(f"ix_{noun}_name|uq_{noun}_name|sqlite_autoindex_{noun}_", plan), plan
    assert "Seq Scan" not in plan, plan
    assert "SCAN" not in plan, plan


def _found(session: Session, search: str, *, case_sensitive: bool = True) -> list[str]:
    return [vm.name for vm in session.vms.list(ListQuery(search=search, case_sensitive=case_sensitive))]


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("name=Soup", ["Soup"]),
        ("name=soup", []),
        ("name=soup*", ["soup_2"]),
        ("name=*o*", ["Soup", "soup_2"]),
        ("name=soup?2", []),
        ("name='tea 100%'", ["tea 100%"]),
        ("name=tea*0%", ["tea 100%"]),
        ("name=s*_2", ["soup_2"]),
        ("description='red [dry*'", ["wine"]),
        ("name!=Soup and cluster=kitchen and name=s*", ["soup_2"]),
        ("cluster=cellar", ["wine"]),
        ("cluster=c* or name=Soup", ["Soup", "wine"]),
        ("clusters.name=cellar", ["wine"]),
        ("Cluster.name=cellar", ["wine"]),
        ("datacenter='cellar center'", ["wine"]),
        ("status=up", ["Soup"]),
        ("status=powering_* or status=up", ["Soup"]),
        ("status!=down", ["Soup"]),
        ("host=oven", ["Soup"]),
        ("hosts.address=oven.example.com", ["Soup"]),
        ("host=nowhere", []),
        ("template=Blank and name=wine", ["wine"]),
        ("tag=hot", ["Soup"]),
        ("kind=virtual_machine and name=wine", ["wine"]),
        ("creationdate<2026-01-01", ["wine"]),
        ("creationdate=2025-01-02", ["wine"]),
        ("creationdate>'2025-01-02 03:00:00' and name=wine", []),
        ("creationdate>='2025-01-02 03:00:00' and name=wine", ["wine"]),
        ("dry", ["wine"]),
        ("name=Soup or name=wine sortby name desc", ["wine", "Soup"]),
    ],
)
def test_found(session: Session, search: str, names: list[str]) -> None:
    assert _found(session, search) == names


def test_case_may_be_passed_over(session: Session) -> None:
    assert _found(session, "name=sOUP*", case_sensitive=False) == ["Soup", "soup_2"]
    session.vms.update(dataclasses.replace(session.vms.list(ListQuery(search="name=wine"))[0], name="ÄPFEL"))
    assert _found(session, "name=äpfel or name=GRÖßE", case_sensitive=False) == ["Größe", "ÄPFEL"]


@pytest.mark.parametrize(
    ("search", "reason"),
    [
        ("colour=red", "no field 'colour' here; there are cluster, "),
        ("hosts.colour=red", "no field 'hosts.colour' here; there are hosts.address"),
        ("users.name=x", "no field 'users.name'"),
        ("status=sleepy", "'sleepy' is none of down, image_locked"),
        ("status>up", "> has no meaning for words"),
        ("creationdate=soon", "'soon' is no time"),
        ("name=x sortby colour", "no field 'colour'"),
        ("id.x=1", "no field 'id.x'"),
    ],
)
def test_what_is_unknown_is_never_all(session: Session, search: str, reason: str) -> None:
    with pytest.raises(BadSearch, match=reason):
        _found(session, search)


def test_pages_of_a_search(session: Session) -> None:
    names = [vm.name for vm in session.vms.list(ListQuery(search="page 2", maximum=2))]
    assert names == [vm.name for vm in session.vms.list()][2:4]
    assert session.vms.list(ListQuery(search="name=* page 9", maximum=2)) == []


def test_events_come_newest_first(session: Session) -> None:
    found = session.events.list(ListQuery(search="event_vm=Soup and correlation_id=abc and severity=normal"))
    assert [event.description for event in found] == ["VM Soup stopped", "VM Soup started"]
    assert session.events.list(ListQuery(search="vm=wine")) == []
    assert session.events.list(ListQuery(search=f"id>{found[1].id}")) == [found[0]]


@pytest.mark.parametrize("noun", sorted(SEARCHABLE))
def test_every_field_of_the_table_is_sql(session: Session, noun: str) -> None:
    """No row needs to be found; every field and every relation must be a statement that the database takes."""
    searchable = SEARCHABLE[noun]
    repository = next(r for r in _repositories(session) if r.table is searchable.table)
    values = {"time": "today", "creationdate": "today", "creation_date": "today", "start_time": "today"}
    for name in [*searchable.fields, *searchable.by_name, *(f"{related}.name" for related in searchable.related)]:
        for value in (values.get(name, "*"), "1", "true"):
            try:
                repository.list(ListQuery(search=f"{name}='{value}'"))
                break
            except BadSearch:
                continue
        else:
            pytest.fail(f"{noun}.{name} takes neither a text, nor a number, nor true")
    repository.list(ListQuery(search="anything"))


def _repositories(session: Session) -> list[Repository[object]]:
    parts = (getattr(session, name) for name in dir(type(session)) if not name.startswith("_"))
    return [part for part in parts if isinstance(part, Repository)]


@pytest.mark.parametrize("search", ["name=a\0b", "a\0b", "Clusters.name=\ud800", "name='\0'"])
def test_what_no_text_can_hold_is_refused(store: Store, search: str) -> None:
    with store.read() as reading, pytest.raises(BadSearch, match="no text has"):
        reading.vms.list(ListQuery(search=search))


@pytest.mark.parametrize("time", ["9999-12-31", "'0001-01-01 00:00:00+23:00'"])
def test_times_at_the_ends_of_the_calendar_are_refused(store: Store, time: str) -> None:
    with store.read() as reading, pytest.raises(BadSearch, match="between the years"):
        reading.events.list(ListQuery(search=f"time>{time}"))


def test_a_number_larger_than_its_column_is_compared_all_the_same(session: Session) -> None:
    assert not session.events.list(ListQuery(search="type=99999999999999999"))
    assert len(session.events.list(ListQuery(search="type<99999999999999999"))) == 2


def test_many_stars_before_a_word_cost_nothing(session: Session) -> None:
    assert _found(session, f"status={'*' * 200}u{'*' * 200}p{'*' * 200}") == ["Soup"]
    with pytest.raises(BadSearch, match="none of"):
        _found(session, f"status={'*' * 2000}no")
    assert _found(session, "status=u*p") == ["Soup"]
    with pytest.raises(BadSearch, match="none of"):
        _found(session, "status=up*p")
