# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Versions of templates: they share a name, are counted, and outlive their base."""

from dataclasses import replace
from typing import Any

import pytest

from covirt.engine.model.access import ObjectType
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.vm import BLANK_TEMPLATE_ID
from tests.support import engine_samples as s
from tests.support.engine_changing import give
from tests.unit.engine.api.changes.test_vms import CONTAINER, Kitchen, quick

__all__ = ["quick"]


@pytest.fixture(name="kitchen")
def kitchen_fixture(quick: Kitchen) -> Kitchen:
    """With a machine to make templates of, and the template golden."""
    quick.add("master")
    quick.api.post("templates", {"name": "golden", "vm": {"name": "master"}})
    return quick


def _version(kitchen: Kitchen, status: int = 201, *, of: Any = "golden", called: str = "second", **more: Any) -> Any:
    version = {"base_template": {"name": of} if isinstance(of, str) else of, "version_name": called}
    return kitchen.api.post(
        "templates", {"name": "golden", "vm": {"name": "master"}, "version": version, **more}, status
    )


def _versions(kitchen: Kitchen, name: str = "golden") -> list[tuple[str, str, str, str]]:
    """Id, number, name of the version, and id of the base."""
    found = [
        (each["id"], version["version_number"], version["version_name"], version["base_template"]["id"])
        for each in kitchen.api.get(f"templates?search=name%3D{name}").get("template", [])
        for version in [each["version"]]
    ]
    return sorted(found, key=lambda each: int(each[1]))


def test_versions_are_counted_and_have_one_base(kitchen: Kitchen) -> None:
    ((base, *first),) = _versions(kitchen)
    assert first == ["1", "base version", base]
    second = _version(kitchen)["id"]
    third = _version(kitchen, of={"id": second}, called="")["id"]  # of a version it is one of its base
    assert _versions(kitchen) == [
        (base, "1", "base version", base),
        (second, "2", "second", base),
        (third, "3", "", base),
    ]
    assert kitchen.api.post("vms", {"name": "one", "cluster": {"name": "kitchen"}, "template": {"name": "golden"}})[
        "original_template"
    ]["id"] == base  # fmt: skip
    by_id = {"name": "two", "cluster": {"name": "kitchen"}, "template": {"id": third}}
    assert kitchen.api.post("vms", by_id)["original_template"]["id"] == third


def test_a_base_is_renamed_with_its_versions(kitchen: Kitchen) -> None:
    second = _version(kitchen)["id"]
    base = _versions(kitchen)[0][0]
    refused = kitchen.api.put(f"templates/{second}", {"name": "silver"}, 400)
    assert "All versions of a template have its name, golden" in refused
    kitchen.api.put(f"templates/{second}", {"version": {"version_name": "patched"}, "description": "newer"})
    kitchen.api.put(f"templates/{base}", {"name": "silver"})
    assert [each[2] for each in _versions(kitchen, "silver")] == ["base version", "patched"]
    assert _versions(kitchen) == []
    kitchen.api.post("templates", {"name": "golden", "vm": {"name": "master"}})
    assert "already in use" in kitchen.api.put(f"templates/{base}", {"name": "golden"}, 409)
    wanted = {"version": {"base_template": {"name": "golden"}}}
    assert "is a fact, and cannot be changed" in kitchen.api.put(f"templates/{second}", wanted, 400)
    kitchen.api.put(f"templates/{second}", {"version": {"base_template": {"id": base}}})  # as it was


def test_versions_outlive_their_base(kitchen: Kitchen) -> None:
    second, third = (_version(kitchen, called=name)["id"] for name in ("second", "third"))
    kitchen.api.delete(f"templates/{_versions(kitchen)[0][0]}")
    assert _versions(kitchen) == [(second, "2", "second", second), (third, "3", "third", second)]
    fourth = _version(kitchen, called="fourth")["id"]
    assert _versions(kitchen)[-1] == (fourth, "4", "fourth", second)
    kitchen.api.delete(f"templates/{third}")
    assert [each[0] for each in _versions(kitchen)] == [second, fourth]


def test_what_is_no_version_of_it(kitchen: Kitchen) -> None:
    assert "have its name, golden" in _version(kitchen, 400, name="silver")
    assert "already in use" in kitchen.api.post("templates", {"name": "golden", "vm": {"name": "master"}}, 409)
    assert "Template names must have" in _version(kitchen, 400, called="two\nlines").replace(
        "Template version", "Template"
    )
    _version(kitchen, 404, of={"name": "nobody"})
    assert "Blank is every installation's" in _version(kitchen, 409, of={"id": BLANK_TEMPLATE_ID}, name="Blank")
    kitchen.enable_containers()
    kitchen.add("box", custom_properties=CONTAINER)
    assert "kind of machine" in _version(kitchen, 409, vm={"name": "box"})
    base = _versions(kitchen)[0][0]
    with kitchen.store.write() as session:
        assert session.templates.get(base).kind is VmKind.VIRTUAL_MACHINE
        session.templates.update(replace(session.templates.get(base), base_template_id=base))
    assert len(_versions(kitchen)) == 1


def test_a_version_needs_a_right_on_its_base(kitchen: Kitchen) -> None:
    """Whoever looks for the newest one would be given his."""
    with kitchen.store.read() as session:
        roles = {role.name: role.id for role in session.roles.list()}
        center = session.clusters.get(s.CLUSTER_ID).data_center_id
    master = kitchen.api.get("vms?search=name%3Dmaster")["vm"][0]["id"]
    base = _versions(kitchen)[0][0]
    give(kitchen.store, s.USER_ID, roles["TemplateCreator"], ObjectType.DATA_CENTER, center)
    give(kitchen.store, s.USER_ID, roles["UserVmManager"], ObjectType.VM, master)
    body = {"name": "golden", "vm": {"id": master}, "version": {"base_template": {"id": base}}}
    kitchen.user.post("templates", body, 404)
    give(kitchen.store, s.USER_ID, roles["UserTemplateBasedVm"], ObjectType.TEMPLATE, base)
    assert "edit_template_properties" in kitchen.user.post("templates", body, 403)
    give(kitchen.store, s.USER_ID, roles["TemplateOwner"], ObjectType.TEMPLATE, base)
    kitchen.user.post("templates", body)
