# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Uploads and downloads through the API, by a real covirt-host and oVirt's imageio daemon."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from covirt.common.errors import Error
from covirt.common.process import Argument, run
from covirt.engine.hosts.errors import HostRefused, HostUnreachable
from covirt.engine.model.access import ObjectType, User
from covirt.engine.model.disk import DiskAttachment, TransferPhase
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.host import HostStatus
from covirt.engine.model.vm import Vm, VmFacts, VmStatus
from covirt.engine.web.transfer_proxy import TransferProxy
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json
from covirt.rpc.tls import TlsFiles, client_context
from tests.support.engine_api import api_client
from tests.support.engine_changing import Asker, give
from tests.support.engine_samples import USER_ID, sample_id
from tests.support.transfer_site import DATA, MIB, Place, new_place

pytestmark = pytest.mark.root

_USER_ROLE = "00000000-0000-0000-0001-000000000001"  # oVirt's id of it
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", name="place")
def place_fixture() -> Iterator[Place]:
    with new_place() as place:
        yield place


@pytest.mark.parametrize("image_format", ["raw", "cow"])
def test_an_upload_and_a_download(place: Place, image_format: str) -> None:
    """Of a qcow2 volume a client sees what a guest would."""
    disk = place.disk(f"up-{image_format}", image_format)
    transfer = place.begin(disk, "upload", format="raw")
    assert (transfer["phase"], place.status(disk)) == ("transferring", "locked")
    assert transfer["host"]["id"] == place.site.hosts.host_id
    assert place.client(transfer).upload(DATA) == 200
    place.watch().look()
    assert place.phase(transfer) == "transferring"
    assert "is locked" in str(place.begin(disk, "download", 409))
    host = f"hosts/{place.site.hosts.host_id}"
    assert f"upload or download disks there: up-{image_format}" in str(
        place.site.api.post(f"{host}/deactivate", {}, 409)
    )
    place.act(transfer, "finalize")
    assert (place.phase(transfer), place.status(disk)) == ("finished_success", "ok")
    assert "transfer_url" not in place.site.api.get(f"imagetransfers/{transfer['id']}")
    assert "it is finished_success" in str(place.act(transfer, "finalize", 409))
    down = place.begin(disk, "download", format="raw")
    assert place.client(down).download(MIB) == (206, DATA)
    assert place.client(down).upload(b"x") == 403
    place.act(down, "finalize")
    assert place.status(disk) == "ok"
    place.site.api.delete(f"disks/{disk['id']}")


def test_a_qcow2_file_as_it_is(place: Place, tmp_path: Path) -> None:
    """And one that refers to a file of the host is refused: its disk is illegal, until a good one has come."""
    disk = place.disk("file", "cow")
    good, bad = tmp_path / "good.qcow2", tmp_path / "bad.qcow2"
    (tmp_path / "raw").write_bytes(DATA)
    commands: list[list[Argument]] = [
        ["qemu-img", "convert", "-O", "qcow2", tmp_path / "raw", good],
        ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/shadow", bad, "1M"],
    ]
    for argv in commands:
        run(argv, timeout_seconds=30)
    refused = place.begin(disk, "upload", format="cow")
    place.client(refused).upload(bad.read_bytes())
    place.act(refused, "finalize")
    assert (place.phase(refused), place.status(disk)) == ("finished_failure", "illegal")
    transfer = place.begin(disk, "upload", format="cow")
    assert place.client(transfer).upload(good.read_bytes()) == 200
    place.act(transfer, "finalize")
    assert place.status(disk) == "ok"
    down = place.begin(disk, "download", format="cow")
    size = place.path(disk).stat().st_size
    assert place.client(down).download(size) == (206, place.path(disk).read_bytes())
    place.act(down, "cancel")
    assert (place.phase(down), place.status(disk)) == ("finished_cleanup", "ok")
    place.site.api.delete(f"disks/{disk['id']}")


def test_what_is_refused(place: Place) -> None:
    api, disk = place.site.api, place.disk("plain")
    assert "ImageTransfer [disk.id] required" in str(api.post("imagetransfers", {}, 400))
    assert "transfer it with the format raw" in str(place.begin(disk, "upload", 400, format="cow"))
    assert "10 to 604800 seconds" in str(place.begin(disk, "upload", 400, inactivity_timeout="1"))
    with place.site.store.write() as session:
        session.disks.update(replace(session.disks.get(disk["id"]), kind=VmKind.CONTAINER))
    assert "belongs to containers" in str(place.begin(disk, "upload", 409))
    place.act(place.begin(disk, "download"), "finalize")
    vm_id = sample_id("runs")
    with place.site.store.write() as session:
        (cluster,) = session.clusters.list()
        new = Vm(id=vm_id, name="runs", cluster_id=cluster.id, kind=VmKind.CONTAINER, created_at=datetime.now(UTC))
        session.vms.add(new)
        session.disk_attachments.add(DiskAttachment(disk_id=disk["id"], vm_id=vm_id))
        session.vms.update_facts(vm_id, VmFacts(status=VmStatus.UP, host_id=place.site.hosts.host_id))
    assert "is used by runs, which run" in str(place.begin(disk, "download", 409))
    with place.site.store.write() as session:
        session.vms.remove(vm_id)
    api.delete(f"disks/{disk['id']}")


def test_an_upload_makes_a_disk_a_virtual_machines(place: Place) -> None:
    disk = place.disk("foreign")
    place.act(place.begin(disk, "upload"), "finalize")
    with place.site.store.read() as session:
        assert session.disks.get(disk["id"]).kind is VmKind.VIRTUAL_MACHINE
    place.site.api.delete(f"disks/{disk['id']}")


def test_a_cancelled_upload_takes_its_disk_along(place: Place) -> None:
    disk = place.disk("half")
    transfer = place.begin(disk, "upload")
    place.client(transfer).upload(b"x" * 4096)
    place.act(transfer, "cancel")
    assert place.phase(transfer) == "finished_cleanup"
    place.site.api._asked("GET", f"disks/{disk['id']}", None, 404)
    assert not place.path(disk).exists()
    assert place.client(transfer).upload(b"x") == 403
    assert not place.tickets_held()


def test_pausing(place: Place) -> None:
    disk = place.disk("slow")
    transfer = place.begin(disk, "upload")
    client = place.client(transfer)
    place.act(transfer, "pause")
    assert place.phase(transfer) == "paused_user"
    assert client.upload(b"x") == 403
    place.act(transfer, "resume")
    assert client.upload(DATA) == 200
    place.act(transfer, "extend")
    place.act(transfer, "finalize")
    assert place.told[:4] == ["1032", "1074", "1073", "1031"]
    assert place.path(disk).read_bytes() == DATA
    place.site.api.delete(f"disks/{disk['id']}")


def test_nobody_comes(place: Place) -> None:
    """An upload waits for who resumes it, a download is over; a lost ticket is told."""
    up, down = place.disk("up"), place.disk("down")
    begun = {"upload": place.begin(up, "upload"), "download": place.begin(down, "download")}
    with place.site.store.write() as session:
        for transfer in begun.values():
            kept = session.image_transfers.get(transfer["id"])
            session.image_transfers.update(replace(kept, last_activity=_LONG_AGO, inactivity_timeout_seconds=-1))
    place.watch().look()
    place.site.settle()
    assert [place.phase(each) for each in begun.values()] == ["paused_system", "finished_failure"]
    assert (place.status(up), place.status(down)) == ("locked", "ok")
    assert set(place.told[:2]) == {"1071", "1072"}
    place.act(begun["upload"], "resume")
    with place.site.store.read() as session:
        ticket = session.image_transfers.get(begun["upload"]["id"]).ticket_id
    place.site.hosts.call(place.site.hosts.host_id, "Host.remove_image_ticket", {"uuid": ticket})
    place.watch().look()
    place.site.settle()
    assert place.phase(begun["upload"]) == "paused_system"
    assert place.told[:2] == ["1065", "1074"]
    place.act(begun["upload"], "cancel")
    place.site.api.delete(f"disks/{down['id']}")
    with place.site.store.write() as session:
        for each in session.image_transfers.list():
            session.image_transfers.update(replace(each, ended_at=_LONG_AGO))
    place.watch().look()
    assert place.site.api.get("imagetransfers") == {}


@contextmanager
def failing(place: Place, verb: str, error: Error) -> Iterator[None]:
    hosts = place.site.hosts
    call = hosts.call

    def flaky(host_id: str, asked: str, params: Mapping[str, Json] | None = None, **named: Any) -> Json:
        if asked == verb:
            raise error
        return call(host_id, asked, params, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts, "call", flaky)
        yield


def refused(verb: str, code: int, text: str) -> Error:
    return HostRefused(host="one", verb=verb, code=code, text=text)


@pytest.mark.parametrize("image_format", ["raw", "cow"])
def test_a_look_that_fails_says_nothing_of_the_upload(place: Place, image_format: str) -> None:
    """It is finalized again, and nothing was lost."""
    disk = place.disk("busy", image_format)
    transfer = place.begin(disk, "upload", format="raw")
    place.client(transfer).upload(DATA)
    verb = "Volume.verify_untrusted"
    with failing(place, verb, refused(verb, Code.VOLUME_BUSY, "Volume is busy")):
        assert "Volume is busy" in str(place.act(transfer, "finalize", 409))
    assert (place.phase(transfer), place.status(disk)) == ("paused_system", "locked")
    place.act(transfer, "finalize")
    assert (place.phase(transfer), place.status(disk)) == ("finished_success", "ok")
    place.site.api.delete(f"disks/{disk['id']}")


def test_a_silent_daemon_has_lost_no_ticket(place: Place) -> None:
    disk = place.disk("patient")
    transfer = place.begin(disk, "upload")
    verb = "Host.get_image_ticket"
    with failing(place, verb, refused(verb, Code.IMAGE_DAEMON_SILENT, "try again")):
        place.watch().look()
        place.site.settle()
    assert place.phase(transfer) == "transferring"
    assert place.client(transfer).upload(DATA) == 200
    place.act(transfer, "cancel")


def test_a_volume_that_is_held_elsewhere_is_told(place: Place) -> None:
    disk, verb = place.disk("held"), "Image.prepare"
    with failing(place, verb, refused(verb, Code.VOLUME_BUSY, "vm-1 has it")):
        assert "vm-1 has it (code 203)" in str(place.begin(disk, "upload", 409))
    assert place.status(disk) == "ok"
    place.site.api.delete(f"disks/{disk['id']}")


def test_storage_is_not_taken_away_under_a_transfer(place: Place) -> None:
    disk = place.disk("moving")
    transfer = place.begin(disk, "upload")
    deactivate = f"{place.site.attached}/{place.domain_id}/deactivate"
    assert "the transfer of disk moving; finalize or cancel that first" in str(
        place.site.api.post(deactivate, {}, 409)
    )
    place.act(transfer, "finalize")
    place.site.api.delete(f"disks/{disk['id']}")


def test_a_transfer_without_its_host_is_cancelled(place: Place) -> None:
    """As when the host was removed while a finalization waited for it."""
    disks = {"upload": place.disk("orphan-up"), "download": place.disk("orphan-down")}
    begun = {direction: place.begin(disk, direction) for direction, disk in disks.items()}
    with place.site.store.write() as session:
        kept = [session.image_transfers.get(transfer["id"]) for transfer in begun.values()]
        for transfer in kept:
            session.image_transfers.update(replace(transfer, host_id=None, phase=TransferPhase.PAUSED_SYSTEM))
    for each in begun.values():
        assert "Its host was removed" in str(place.act(each, "finalize", 409))
        place.act(each, "cancel")
    assert {place.phase(each) for each in begun.values()} == {"finished_cleanup"}
    assert [place.status(disk) for disk in disks.values()] == ["illegal", "ok"]
    for transfer in kept:  # this host has them still
        place.let_go(transfer)
    for disk in disks.values():
        place.site.api.delete(f"disks/{disk['id']}")


def test_a_start_that_fails_leaves_nothing(place: Place) -> None:
    disk, verb = place.disk("unlucky", "cow"), "Host.add_image_ticket"
    with failing(place, verb, HostUnreachable(host="one", verb=verb, reason="the cable is out")):
        assert "the cable is out" in str(place.begin(disk, "upload", 503, format="raw"))
    assert place.status(disk) == "ok"
    with place.site.store.read() as session:
        (failed,) = [each for each in session.image_transfers.list() if each.disk_id == disk["id"]]
        assert failed.phase is TransferPhase.FINISHED_FAILURE
        rows = session.connection.exec_driver_sql("SELECT parameters FROM commands").all()
        assert not any(failed.ticket_id in str(row) for row in rows)
    assert not place.tickets_held()
    place.site.api.delete(f"disks/{disk['id']}")


def test_through_the_engines_proxy(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """The ticket is in no log, and no other resource of the host is reached with it."""
    caplog.set_level(logging.DEBUG)
    disk = place.disk("far")
    transfer = place.begin(disk, "upload")
    path = f"/images/{transfer['transfer_url'].rpartition('/')[2]}"
    tls = client_context(TlsFiles.in_directory(place.site.covirt_host.pki))
    with TestClient(TransferProxy(place.site.store, tls=tls).app) as client:
        told = client.options(path).json()
        assert "unix_socket" not in told
        assert "zero" in told["features"]
        half = MIB // 2
        for start in (0, half):
            part = {"Content-Range": f"bytes {start}-{start + half - 1}/*"}
            assert client.put(path, content=DATA[start : start + half], headers=part).status_code == 200
        assert client.patch(path, json={"op": "flush"}).status_code == 200
        assert client.get(f"{path}/extents").status_code == 200
        got = client.get(path, headers={"Range": "bytes=256-511"})
        assert (got.status_code, got.content) == (206, DATA[256:512])
        assert client.get(f"/images/{sample_id('none')}").status_code == 403
        assert client.delete(path).status_code == 405
        for elsewhere in ("/../../info/", "/%2e%2e/%2e%2e/info/", f"/../{sample_id('none')}", "/other"):
            assert client.get(f"{path}{elsewhere}").status_code in (403, 404)
        assert client.put(path, content=iter([b"x"])).status_code == 400
        place.act(transfer, "finalize")
        assert client.get(path).status_code == 403
    told = [each.getMessage() for each in caplog.records if not each.name.startswith("tests.")]
    assert told
    assert not [line for line in told if path.removeprefix("/images/") in line]
    assert place.path(disk).read_bytes() == DATA
    place.site.api.delete(f"disks/{disk['id']}")


def test_who_may_not_change_the_disk_is_not_told_the_ticket(place: Place) -> None:
    disk = place.disk("shown")
    transfer = place.begin(disk, "download")
    assert transfer["transfer_url"]
    with place.site.store.write() as session:
        session.users.add(User(id=USER_ID, name="cook", principal="cook"))
    give(place.site.store, USER_ID, _USER_ROLE, ObjectType.DISK, disk["id"])
    app = cast(Starlette, place.site.api.client.app)
    cook = Asker(client=api_client(app, user="user"), filtered=True)
    seen = cook.get(f"imagetransfers/{transfer['id']}")
    assert seen["phase"] == "transferring"
    assert "transfer_url" not in seen
    place.act(transfer, "cancel")
    place.site.api.delete(f"disks/{disk['id']}")


def test_a_host_that_was_rebooted_has_no_transfers(place: Place) -> None:
    """Somebody vouches for it, since the host itself says nothing; no disk stays locked for good."""
    up, down = place.disk("lost-up"), place.disk("lost-down")
    begun = [place.begin(up, "upload"), place.begin(down, "download")]
    host_id = place.site.hosts.host_id
    with place.site.store.write() as session:
        host = session.hosts.get(host_id)
        session.hosts.update_facts(host_id, replace(host.facts, status=HostStatus.NON_RESPONSIVE))
        centers = session.data_centers.list()
    place.site.api.post(f"hosts/{host_id}/fence", {"fence_type": "manual"}, 200)
    assert {place.phase(each) for each in begun} == {"finished_failure"}
    assert place.told.count("1034") >= 2
    assert (place.status(up), place.status(down)) == ("illegal", "ok")
    with place.site.store.write() as session:
        session.hosts.update_facts(host_id, host.facts)
        for center in centers:
            session.data_centers.update(center)
        transfers = [session.image_transfers.get(each["id"]) for each in begun]
    for transfer in transfers:  # this host was not rebooted, and has them still
        place.let_go(transfer)
    for disk in (up, down):
        place.site.api.delete(f"disks/{disk['id']}")
