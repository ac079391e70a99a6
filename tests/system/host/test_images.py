# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks and container images of a whole host, in Vdsm's verbs: uploads, copies, imports, removals, and a kill."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from covirt.common.files import remove_tree, write_json
from covirt.common.root import Root
from covirt.host.storage.socket_program import SocketProgram
from tests.support.covirt_host import CallFailed, CovirtHost, HostClient, serve_covirt_host
from tests.support.host_pool import (
    PoolOnHost,
    connect_pool,
    connect_server,
    create_volume,
    finished,
    new_pool,
    sdm_ids,
)
from tests.support.images import write_policy
from tests.support.registry import Registry
from tests.support.roots import new_directory
from tests.support.transfers import ImageClient
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.root

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A host with storage, and where its transfers are served."""

    host: CovirtHost
    pool: PoolOnHost
    imageio_port: int

    def transfer(self, ticket: dict[str, Any]) -> ImageClient:
        context = ssl.create_default_context(cafile=str(self.host.pki / "certs/cacert.pem"))
        return ImageClient(port=self.imageio_port, context=context, ticket_id=ticket["uuid"])


@contextmanager
def new_place(**settings: str) -> Iterator[Place]:
    with new_directory() as directory:
        policy = write_policy(directory / "policy.json", {"type": "insecureAcceptAnything"})
        port = free_port()
        lines = {"container_image_policy": str(policy), **settings}
        text = "\n".join(f'{key} = "{value}"' for key, value in lines.items())
        export = directory / "export"
        export.mkdir()
        configuration = f"[images]\nimageio_port = {port}\n{text}\n"
        imageio = SocketProgram(Root(directory).run_dir / "host/imageio/sock")
        try:
            with serve_covirt_host(Root(directory), configuration=configuration, port=free_port()) as host:
                with host.client() as client:
                    pool = new_pool(client, export)
                yield Place(host=host, pool=pool, imageio_port=port)
        finally:
            imageio.end(grace_seconds=5)  # a test that failed may have left a ticket, which keeps it


@pytest.fixture(scope="module", name="place")
def place_fixture(secure_registry: Registry, busybox_layout: Path) -> Iterator[Place]:
    secure_registry.push(busybox_layout, "busybox", "library/busybox:1")
    with new_directory() as certificates:
        assert secure_registry.cert_dir is not None
        (certificates / secure_registry.host).symlink_to(secure_registry.cert_dir)
        with new_place(registry_certificates=str(certificates)) as place:
            yield place


@pytest.fixture(name="client")
def client_fixture(place: Place) -> Iterator[HostClient]:
    with place.host.client() as client:
        yield client


def ticket_for(url: str) -> dict[str, Any]:
    return {"uuid": str(uuid4()), "url": url, "size": _MIB, "timeout": 300, "ops": ["read", "write"]}


def job_ended(client: HostClient, job_id: str) -> dict[str, Any]:
    wait_until(lambda: client.call("Host.getJobs")[job_id]["status"] in ("done", "failed", "aborted"))
    job: dict[str, Any] = client.call("Host.getJobs")[job_id]
    return job


def metadata(pool: PoolOnHost, ids: dict[str, str]) -> dict[str, str]:
    lines = (pool.images / ids["imageID"] / f"{ids['volumeID']}.meta").read_text().splitlines()
    assert lines.pop() == "EOF"
    return dict(line.split("=", 1) for line in lines)


def test_from_an_upload_to_a_copy(place: Place, client: HostClient) -> None:
    """qcow2 through qemu-nbd, judged, copied into a raw volume, and read back from that."""
    source = create_volume(client, place.pool, size_bytes=_MIB, cow=True)
    server_id = str(uuid4())
    url = client.call("NBD.start_server", {"server_id": server_id, "config": {**sdm_ids(source), "discard": True}})
    ticket = ticket_for(url)
    assert client.call("Host.add_image_ticket", {"ticket": ticket}) is True
    assert place.transfer(ticket).upload(b"covirt" * 1024, offset=65536) == 200
    assert client.call("Host.get_image_ticket", {"uuid": ticket["uuid"]})["size"] == _MIB
    client.call("Host.remove_image_ticket", {"uuid": ticket["uuid"]})
    client.call("NBD.stop_server", {"server_id": server_id})
    assert client.call("Volume.verify_untrusted", source) is True
    assert client.call("Volume.getQemuImageInfo", source)["format"] == "qcow2"

    target, job_id = create_volume(client, place.pool, size_bytes=_MIB), str(uuid4())
    before = int(metadata(place.pool, target)["GEN"])
    ends = {"source": sdm_ids(source), "destination": {**sdm_ids(target), "generation": before}}
    client.call("SDM.copy_data", {"job_id": job_id, **ends})
    told = client.wait_for_event(f"|jobs|status|{job_id}", status="done")
    assert told["progress"] == 100
    after = metadata(place.pool, target)
    assert (int(after["GEN"]), after["LEGALITY"]) == (before + 1, "LEGAL")

    path = client.call("Image.prepare", target)["path"]
    assert path.startswith(f"{place.host.root.path}/rhev/data-center/")
    ticket = ticket_for(f"file://{path}")
    client.call("Host.add_image_ticket", {"ticket": ticket})
    assert place.transfer(ticket).download(6144, offset=65536) == (206, b"covirt" * 1024)
    client.call("Host.remove_image_ticket", {"uuid": ticket["uuid"]})
    with pytest.raises(CallFailed, match="engine"):
        client.call("Image.delete", {**target, "postZero": False, "force": False})
    client.call("Image.teardown", target)
    for ids in (source, target):
        finished(client, client.call("Image.delete", {**ids, "postZero": False, "force": False}))
        assert not (place.pool.images / ids["imageID"]).exists()


def test_a_container_image_in_a_storage_domain(place: Place, client: HostClient, secure_registry: Registry) -> None:
    ids, job_id = place.pool.new_ids(), str(uuid4())
    source = {
        "url": secure_registry.reference("library/busybox:1"),
        "username": secure_registry.user,
        "password": secure_registry.password,
    }
    client.call("ContainerImage.import", {**ids, "jobID": job_id, "source": source, "description": "busybox"})
    client.wait_for_event(f"|jobs|status|{job_id}", status="done")
    values = metadata(place.pool, ids)
    size = (place.pool.images / ids["imageID"] / ids["volumeID"]).stat().st_size
    assert (values["DISKTYPE"], values["FORMAT"], values["VOLTYPE"], values["CAP"]) == (
        "ISOF",
        "RAW",
        "LEAF",
        str(size),
    )
    domain = {key: ids[key] for key in ("storagepoolID", "storagedomainID")}
    [shown] = client.call("ContainerImage.list", domain)
    assert (shown["imageID"], shown["usedBy"]) == (ids["imageID"], [])
    assert client.call("ContainerImage.inspect", ids)["config"]["command"] == ["/bin/sh"]
    assert client.call("Volume.getInfo", ids)["disktype"] == "ISOF"
    job_id = str(uuid4())
    client.call("ContainerImage.remove", {**ids, "jobID": job_id})
    assert job_ended(client, job_id)["status"] == "done"
    assert client.call("ContainerImage.list", domain) == []


def test_after_a_kill_transfers_go_on_and_all_is_told() -> None:
    with new_place() as place:
        with place.host.client() as client:
            ids = create_volume(client, place.pool, size_bytes=_MIB)
            path = client.call("Image.prepare", ids)["path"]
            ticket = ticket_for(f"file://{path}")
            client.call("Host.add_image_ticket", {"ticket": ticket})
        place.host.kill()
        assert place.transfer(ticket).upload(b"x" * 512) == 200
        place.host.start()
        with place.host.client() as client:
            assert client.call("Host.get_image_ticket", {"uuid": ticket["uuid"]})["uuid"] == ticket["uuid"]
            client.call("Host.remove_image_ticket", {"uuid": ticket["uuid"]})
            connect_pool(client, place.pool)
            with pytest.raises(CallFailed, match="engine"):
                client.call("Image.delete", {**ids, "postZero": False, "force": False})
            client.call("Image.teardown", ids)
            finished(client, client.call("Image.delete", {**ids, "postZero": False, "force": False}))


def test_after_a_reboot_an_import_is_taken_back_when_its_storage_is_connected() -> None:
    with new_place() as place:
        ids, job_id = place.pool.new_ids(), str(uuid4())
        place.host.kill()
        stage = place.pool.images / f"_covirt_import_{job_id}"
        stage.mkdir()
        (stage / ids["volumeID"]).write_bytes(b"half")
        target = {
            "pool_id": ids["storagepoolID"], "domain_id": ids["storagedomainID"], "image_id": ids["imageID"],
            "volume_id": ids["volumeID"],
        }  # fmt: skip
        params = {"job_id": job_id, "target": target, "source": {"text": "docker://localhost/x"}, "description": ""}
        record = {
            "id": job_id, "kind": "import_container_image", "params": params, "state": "running",
            "stop_asked": False, "code": 0, "message": "", "undone": None, "ended_at": None,
        }  # fmt: skip
        root = place.host.root
        write_json(root.state_dir / "host/jobs" / f"{job_id}.json", record, version=1)
        remove_tree(root.run_dir / "host")
        for link in (root.path / "rhev/data-center/mnt").iterdir():
            link.unlink()
        place.host.start()
        with place.host.client() as client:
            wait_until(lambda: "waits to be undone" in place.host.log)
            assert client.call("Host.getJobs")[job_id]["status"] == "running"
            assert stage.exists()
            with pytest.raises(CallFailed) as caught:
                client.call("Host.getAllTasksStatuses")
            assert caught.value.code == 654
            connect_server(client, place.pool)
            connect_pool(client, place.pool)
            assert client.call("Host.getAllTasksStatuses") == {}
            job = job_ended(client, job_id)
        assert job["status"] == "failed"
        assert "covirt-host ended" in job["error"]["message"]
        assert not stage.exists()
