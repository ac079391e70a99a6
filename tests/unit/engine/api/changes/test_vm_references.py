# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine's body names: nobody uses what he has no right to, and a name means the one that lies near."""

from dataclasses import replace

from covirt.engine.model.access import ObjectType
from covirt.engine.model.vm import BLANK_TEMPLATE_ID
from tests.support import engine_samples as s
from tests.support.engine_changing import give
from tests.unit.engine.api.changes.test_vms import Kitchen, quick

__all__ = ["quick"]

_USER_ROLE = "00000000-0000-0000-0001-000000000001"


def _let_add(kitchen: Kitchen) -> None:
    give(kitchen.store, s.USER_ID, _role(kitchen, "VmCreator"), ObjectType.CLUSTER, s.CLUSTER_ID)


def _role(kitchen: Kitchen, name: str) -> str:
    with kitchen.store.read() as session:
        found = session.roles.find(name=name)
    assert found is not None, name
    return found.id


def _second_cluster(kitchen: Kitchen) -> str:
    return str(kitchen.api.post("clusters", {"name": "bakery", "data_center": {"name": "kitchens"}})["id"])


def _foreign_template(kitchen: Kitchen) -> None:
    """In a cluster where the user has nothing."""
    bakery = _second_cluster(kitchen)
    with kitchen.store.write() as session:
        template = session.templates.get(s.TEMPLATE_ID)
        session.templates.update(replace(template, cluster_id=bakery, kind=session.vms.get(s.VM_ID).kind))
        for attached in session.disk_attachments.list():
            if attached.template_id == s.TEMPLATE_ID:
                session.disk_attachments.take_off(attached)


def test_a_template_needs_a_right(quick: Kitchen) -> None:
    _let_add(quick)
    _foreign_template(quick)
    body = {"name": "mine", "cluster": {"id": s.CLUSTER_ID}}
    for named in ({"id": s.TEMPLATE_ID}, {"name": "broth"}):
        quick.user.post("vms", {**body, "template": named}, 404)
    give(quick.store, s.USER_ID, _USER_ROLE, ObjectType.TEMPLATE, s.TEMPLATE_ID)  # he sees it, and may not use it
    assert "create_vm" in quick.user.post("vms", {**body, "template": {"name": "broth"}}, 403)
    give(quick.store, s.USER_ID, _role(quick, "UserTemplateBasedVm"), ObjectType.TEMPLATE, s.TEMPLATE_ID)
    made = quick.user.post("vms", {**body, "template": {"name": "broth"}})
    assert made["template"]["id"] == s.TEMPLATE_ID
    quick.user.post("vms", {**body, "name": "plain", "template": {"id": BLANK_TEMPLATE_ID}})


def test_only_administrators_choose_hosts(quick: Kitchen) -> None:
    _let_add(quick)
    pinned = {"placement_policy": {"hosts": {"host": [{"id": s.HOST_ID}]}}}
    body = {"name": "mine", "cluster": {"id": s.CLUSTER_ID}}
    assert "edit_admin_vm_properties" in quick.user.post("vms", {**body, **pinned}, 403)
    vm_id = quick.user.post("vms", body)["id"]
    assert "edit_admin_vm_properties" in quick.user.put(f"vms/{vm_id}", pinned, 403)
    quick.api.put(f"vms/{vm_id}", pinned)
    quick.user.put(f"vms/{vm_id}", {**pinned, "description": "as it was"})
    quick.user.put(f"vms/{vm_id}", {"placement_policy": {"hosts": {"host": []}}}, 403)
    give(quick.store, s.USER_ID, _role(quick, "TemplateOwner"), ObjectType.TEMPLATE, s.TEMPLATE_ID)
    assert "edit_admin_template_properties" in quick.user.put(f"templates/{s.TEMPLATE_ID}", pinned, 403)
    quick.user.put(f"templates/{s.TEMPLATE_ID}", {"description": "his own words"})
    copied = quick.user.post(f"vms/{vm_id}/clone", {"vm": {"name": "copied"}}, 200)["vm"]["id"]
    assert quick.vm(copied).hardware.placement_host_ids == (s.HOST_ID,)


def test_a_cpu_profile_is_one_of_the_cluster(quick: Kitchen) -> None:
    bakery = _second_cluster(quick)
    for cluster in (s.CLUSTER_ID, bakery):
        quick.api.post("cpuprofiles", {"name": "fast", "cluster": {"id": cluster}})
    profiles = {
        each["cluster"]["id"]: each["id"]
        for each in quick.api.get("cpuprofiles")["cpu_profile"]
        if each["name"] == "fast"
    }
    refused = quick.add("strange", 400, cpu_profile={"id": profiles[bakery]})
    assert "not one of the VM's cluster" in refused
    vm_id = quick.add(cluster={"id": bakery}, cpu_profile={"name": "fast"})
    assert quick.api.get(f"vms/{vm_id}")["cpu_profile"]["id"] == profiles[bakery]
    assert "not one of" in quick.api.put(f"vms/{vm_id}", {"cpu_profile": {"id": profiles[s.CLUSTER_ID]}}, 400)
    moved = {"cluster": {"id": s.CLUSTER_ID}, "cpu_profile": {"id": profiles[bakery]}}  # as clients send what was
    assert "cpu_profile" not in quick.api.put(f"vms/{vm_id}", moved)
    there = {"cluster": {"id": bakery}, "cpu_profile": {"name": "fast"}}
    assert quick.api.put(f"vms/{vm_id}", there)["cpu_profile"]["id"] == profiles[bakery]


def test_a_network_is_one_of_the_data_center(quick: Kitchen) -> None:
    """Names of networks and of their profiles are told apart by data centers only."""
    center = {"id": quick.api.post("datacenters", {"name": "another", "local": False})["id"]}
    cluster = {"id": quick.api.post("clusters", {"name": "bakery", "data_center": center})["id"]}
    network = {"id": quick.api.post("networks", {"name": "pipes", "data_center": center})["id"]}
    quick.api.post(f"clusters/{cluster['id']}/networks", network)
    profiles = quick.api.get(f"networks/{network['id']}/vnicprofiles")["vnic_profile"]
    vm_id = quick.add(cluster=cluster)
    by_profile = quick.api.post(f"vms/{vm_id}/nics", {"name": "nic1", "vnic_profile": {"name": "pipes"}})
    by_network = quick.api.post(f"vms/{vm_id}/nics", {"name": "nic2", "network": {"name": "pipes"}})
    assert [by_profile["vnic_profile"]["id"], by_network["vnic_profile"]["id"]] == [profiles[0]["id"]] * 2
    assert "strange" in quick.api.post(
        f"vms/{vm_id}/nics", {"name": "nic3", "vnic_profile": {"name": "strange"}}, 404
    )


def test_what_has_no_name_is_named_by_its_id(quick: Kitchen) -> None:
    refused = quick.add("iconic", 400, small_icon={"name": "spoon"})
    assert "small_icon" in refused
