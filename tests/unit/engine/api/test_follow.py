# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Links are followed a list at a time: what a list costs does not grow with its length."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lxml import etree
from sqlalchemy import event
from starlette.testclient import TestClient

from covirt.engine.model.vm import Nic, Vm
from covirt.engine.store.store import Store
from tests.support import engine_samples as s
from tests.support.engine_api import api_app, api_client
from tests.support.roots import new_directory


def test_nested_links(api: TestClient) -> None:
    vm = etree.fromstring(
        api.get(f"vms/{s.VM_ID}?follow=nics.vnic_profile.network,disk_attachments.disk,host,cluster").content
    )
    assert vm.findtext("nics/nic/vnic_profile/network/name") == "pipes"
    assert vm.findtext("disk_attachments/disk_attachment/disk/alias") == "soup_disk1"
    assert vm.findtext("host/address") == "oven.example.com"
    assert vm.findtext("cluster/name") == "kitchen"
    assert "nics" not in {link.get("rel") for link in vm.findall("link")}


@pytest.mark.parametrize("name", ["disk_attachments", "diskattachments"])
def test_both_spellings(api: TestClient, name: str) -> None:
    assert f'id="{s.DISK_ID}"' in api.get(f"vms/{s.VM_ID}?follow={name}").text


def test_an_empty_collection_is_followed_to_an_empty_list(api: TestClient) -> None:
    vm = etree.fromstring(api.get(f"vms/{s.CONTAINER_ID}?follow=nics,host").content)
    assert vm.find("nics") is not None
    assert vm.find("host") is None


def test_what_is_no_link_is_refused_and_the_links_are_told(api: TestClient) -> None:
    answer = api.get("vms?follow=nics.bogus")
    assert answer.status_code == 400
    assert "of a Nic; there are:" in answer.text


def test_what_the_user_may_not_see_is_followed_for_nobody(user_api: TestClient) -> None:
    vm = etree.fromstring(user_api.get(f"vms/{s.VM_ID};filter?follow=host").content)
    assert vm.find("host") is not None
    assert vm.find("host/address") is None


def _more(store: Store, count: int) -> None:
    with store.write() as session:
        soup: Vm = session.vms.get(s.VM_ID)
        for number in range(count):
            vm_id = s.sample_id(f"more {number}")
            session.vms.add(dataclasses.replace(soup, id=vm_id, name=f"soup-{number}"))
            nic = Nic(id=s.sample_id(f"more nic {number}"), name="nic1", vm_id=vm_id, vnic_profile_id=s.PROFILE_ID)
            session.nics.add(nic)


@contextmanager
def _statements(store: Store) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    event.listen(store._engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(store._engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "path",
    [
        "vms",
        "vms?follow=nics",
        "vms?follow=nics.vnic_profile,disk_attachments.disk,cluster.data_center,host,statistics,tags,snapshots.disks",
    ],
)
def test_a_long_list_costs_as_many_statements_as_a_short_one(path: str) -> None:
    with new_directory() as directory:
        store = Store.open(f"sqlite:///{directory}/engine.db")
        s.fill(store)
        client = api_client(api_app(store))
        with _statements(store) as few:
            assert client.get(path).status_code == 200
        _more(store, 100)
        with _statements(store) as many:
            answer = client.get(path)
        store.close()
    assert len(etree.fromstring(answer.content)) == 102
    assert len(many) == len(few)
