# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""After a reboot: networks made to last are back, no guest seems to run, storage is connected again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.covirt_host import SECONDS, HostClient
from tests.support.host_pool import connect_pool, connect_server
from tests.support.waiting import wait_until
from tests.vm.host import EngineMemory, InstalledHost, boot_id
from tests.vm.installed import output


@pytest.fixture(scope="module")
def engine() -> EngineMemory:
    return EngineMemory.kept()


@pytest.fixture
def client() -> Iterator[HostClient]:
    host = InstalledHost()
    wait_until(lambda: host.running, timeout_seconds=SECONDS, what="the start at boot")
    with host.client() as found:
        yield found


def test_networks_that_were_made_to_last_are_back(client: HostClient, engine: EngineMemory) -> None:
    assert boot_id() != engine.boot_id
    wait_until(
        lambda: client.call("Host.getCapabilities")["networks"]["lan"]["addr"].startswith("10.0.3."),
        timeout_seconds=SECONDS,
        what="a lease",
    )
    facts = client.call("Host.getCapabilities")
    assert sorted(facts["networks"]) == ["guests", "lan", "tagged"]
    assert facts["networks"]["tagged"]["addr"] == "192.0.2.5"
    assert facts["networks"]["lan"]["ports"] == ["eth1"]
    assert facts["netConfigDirty"] == "False"


def test_no_guest_runs_that_nobody_started(client: HostClient, engine: EngineMemory) -> None:
    guests = engine.guests
    assert "Up" not in guests.statuses(client).values()
    assert output("pgrep", "--full", "qemu-system.*box", check=False) == ""
    assert output("losetup", "--noheadings", "--list") == ""
    left = [path for path in Path("/run/covirt").rglob("*") if guests.container in path.name]
    assert [path for path in left if path.is_mount()] == []


def test_storage_and_guests_are_there_again(client: HostClient, engine: EngineMemory) -> None:
    for vm_id in engine.guests.statuses(client):
        client.call("VM.destroy", {"vmID": vm_id}, seconds=SECONDS)
    assert client.call("Host.getVMList") == []
    pool = engine.pool_on_host
    connect_server(client, pool)
    connect_pool(client, pool)
    for ids in engine.volumes:
        assert client.call("Volume.getInfo", ids)["status"] == "OK"
    engine.start(client)
    for vm_id in engine.guests.statuses(client):
        client.call("VM.destroy", {"vmID": vm_id}, seconds=SECONDS)


def test_nothing_went_wrong_meanwhile() -> None:
    assert output("systemctl", "--failed", "--no-legend") == ""
    assert [line for line in InstalledHost().journal() if line.startswith("ERROR")] == []
