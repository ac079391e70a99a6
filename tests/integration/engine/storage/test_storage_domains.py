# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Storage domains through the API, on a real covirt-host; what is on disk is judged by the format's description."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covirt.common.process import run
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.storage.monitor import StorageMonitor
from covirt.engine.storage.preparation import StoragePreparation
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json
from tests.support.storage_checker import check_domain
from tests.support.storage_site import Site, new_site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as new:
        yield new


def test_the_life_of_domains(site: Site) -> None:
    """Added, attached, into maintenance and back, detached, removed with all that is on disk; the master last."""
    one, two = site.directory("one"), site.directory("two")
    first, second = site.add("first", one)["id"], site.add("second", two)["id"]
    assert site.api.get(f"storagedomains/{first}")["status"] == "unattached"
    assert check_domain(one / first)["DESCRIPTION"] == "first"

    for name, domain_id in (("first", first), ("second", second)):
        assert site.api.post(site.attached, {"name": name})["id"] == domain_id
    assert (site.facts(first), site.facts(second)) == (("active", True), ("active", False))
    assert check_domain(one / first)["ROLE"] == "Master"
    assert check_domain(two / second)["POOL_UUID"] == site.center_id
    assert site.api.get(f"datacenters/{site.center_id}")["status"] == "up"

    refusal = site.api.post(f"{site.attached}/{first}/deactivate", {}, 409)
    assert "deactivate the others first: second" in refusal
    assert "status is active" in site.api.delete(f"{site.attached}/{second}", 409)
    assert "is attached to a Data Center" in site.api.delete(f"storagedomains/{second}?host=one", 409)
    for domain_id in (second, first):
        site.api.post(f"{site.attached}/{domain_id}/deactivate", {}, 200)
        assert site.facts(domain_id)[0] == "maintenance"
    assert site.api.get(f"datacenters/{site.center_id}")["status"] == "maintenance"
    assert "Activate the master Storage Domain first" in site.api.post(f"{site.attached}/{second}/activate", {}, 409)
    for domain_id in (first, second):
        site.api.post(f"{site.attached}/{domain_id}/activate", {}, 200)
        assert site.facts(domain_id)[0] == "active"

    for domain_id in (second, first):
        site.api.post(f"{site.attached}/{domain_id}/deactivate", {}, 200)
    site.api.post(f"{site.attached}/{first}/activate", {}, 200)  # the pool must be there to leave it
    site.api.delete(f"{site.attached}/{second}")
    site.api.post(f"{site.attached}/{first}/deactivate", {}, 200)
    site.api.delete(f"{site.attached}/{first}")
    assert check_domain(one / first)["POOL_UUID"] == check_domain(two / second)["POOL_UUID"] == ""
    site.api.delete(f"storagedomains/{first}?host=one&format=true")
    site.api.delete(f"storagedomains/{second}?host=one")
    assert (list(one.iterdir()), [path.name for path in two.iterdir()]) == ([], [second])
    assert site.api.get("storagedomains") == {}
    assert all(job.endswith(": finished") for job in site.jobs)


def test_what_cannot_be_added(site: Site) -> None:
    """A sentence, and nothing is left: neither rows, nor locks, nor files."""
    used = site.directory("used")
    assert "belong to 36:36" in site.add("a", site.covirt_host.root.path / "nowhere", 409)
    assert "absolute path without '..'" in site.add("a", Path("/srv/../etc"), 400)
    assert "[host.id|name, storage.type, storage.path]" in site.api.post(
        "storagedomains", {"name": "a", "type": "data"}, 400
    )
    domain = site.add("a", used)["id"]
    assert "is in use by another" in site.add("a", site.directory("other"), 409)
    assert f"{used} is used by Storage Domain a already" in site.add("b", used, 409)
    assert [each["id"] for each in site.api.get("storagedomains")["storage_domain"]] == [domain]
    with site.store.read() as session:
        assert [each.path for each in session.storage_connections.list()] == [str(used)]
    assert all(job.endswith((": failed", ": finished")) for job in site.jobs)


def test_what_fails_leaves_the_host_as_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    small = site.directory("small")
    run(["mount", "-t", "tmpfs", "-o", "nr_inodes=4,mode=755,uid=36,gid=36", "none", small], timeout_seconds=10)
    refusal = site.add("small", small, 409)
    assert "No space left" in refusal or "StorageDomain.create" in refusal
    assert (_connected(site), list(small.iterdir())) == ([], [])
    run(["umount", small], timeout_seconds=10)

    good = site.directory("good")
    domain_id = site.add("good", good)["id"]
    call = site.hosts.call

    def without_activation(host_id: str, verb: str, *words: Any, **more: Any) -> Json:
        if verb == "StorageDomain.activate":
            raise HostRefused(host="one", verb=verb, code=Code.GENERAL, text="it has no wish")
        return call(host_id, verb, *words, **more)

    monkeypatch.setattr(site.hosts, "call", without_activation)
    site.api.post(site.attached, {"id": domain_id}, 409)
    assert (_connected(site), check_domain(good / domain_id)["POOL_UUID"]) == ([], "")
    monkeypatch.undo()
    site.api.post(site.attached, {"id": domain_id})
    assert site.facts(domain_id) == ("active", True)
    assert len(_connected(site)) == 1


def _connected(site: Site) -> list[Path]:
    """Directories that the host is connected to."""
    links = site.covirt_host.root.path.rglob("data-center/mnt/_*")
    return [link.readlink() for link in links if link.is_symlink()]


def test_a_host_comes_back_to_its_storage(site: Site) -> None:
    """After its restart covirt-host manages no pool until it is told to; and what is free is looked at."""
    site.api.post(site.attached, {"id": site.add("data", site.directory("data"))["id"]})
    site.covirt_host.restart()
    with site.covirt_host.client() as client:
        status = client.call("StoragePool.getSpmStatus", {"storagepoolID": site.center_id})
        assert status["spmStatus"] == "Free"
        _until_connected(site)
        StoragePreparation(store=site.store, hosts=site.hosts)(site.hosts.host_id)
        status = client.call("StoragePool.getSpmStatus", {"storagepoolID": site.center_id})
        assert status["spmStatus"] == "SPM"
    StorageMonitor(site.store, site.hosts).look()
    [domain] = site.api.get("storagedomains")["storage_domain"]
    assert domain["available"] > 0


def test_storage_that_is_gone_is_told(site: Site) -> None:
    data = site.directory("data")
    domain_id = site.add("data", data)["id"]
    site.api.post(site.attached, {"id": domain_id})
    monitor = StorageMonitor(site.store, site.hosts)
    data.rename(data.with_name("away"))
    monitor.look()
    assert site.facts(domain_id)[0] == "inactive"
    [event] = site.api.get("events?max=1")["event"]
    assert (event["severity"], "data" in event["description"]) == ("error", True)
    data.with_name("away").rename(data)
    monitor.look()
    assert site.facts(domain_id)[0] == "active"


def test_what_disks_take_is_looked_at(site: Site) -> None:
    """Of a disk whose volume grew, but not of one whose volume is broken; the others' sizes are told nevertheless."""
    data = site.directory("data")
    domain_id = site.add("data", data)["id"]
    site.api.post(site.attached, {"id": domain_id})
    monitor = StorageMonitor(site.store, site.hosts, sizes_every_seconds=0.0)
    grown, broken = (_new_disk(site, domain_id, name) for name in ("grown", "broken"))
    for disk in (grown, broken):
        with (data / domain_id / "images" / disk["id"] / disk["image_id"]).open("r+b") as file:
            file.write(b"x" * (1 << 20))
    next((data / domain_id / "images" / broken["id"]).glob("*.meta")).write_text("nonsense")
    monitor.look()
    now = site.api.get(f"disks/{grown['id']}")
    assert (1 << 20) <= now["actual_size"] == now["total_size"] < (2 << 20)
    assert site.api.get(f"disks/{broken['id']}")["actual_size"] == broken["actual_size"]
    [domain] = site.api.get("storagedomains")["storage_domain"]
    assert domain["committed"] == 2 * (8 << 20) - now["actual_size"] - broken["actual_size"]


def _new_disk(site: Site, domain_id: str, name: str) -> Any:
    body = {"name": name, "format": "raw", "sparse": True, "provisioned_size": 8 << 20}
    return site.api.post("disks", body | {"storage_domains": {"storage_domain": [{"id": domain_id}]}})


def _until_connected(site: Site) -> None:
    wait_until(lambda: site.hosts.is_up(site.hosts.host_id), what="the connection is made again")
