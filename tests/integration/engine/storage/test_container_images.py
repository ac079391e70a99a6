# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Container images through covirt's own resources: imported by a real covirt-host from a real registry."""

import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from covirt.common.root import Root
from covirt.engine.model.hardware import CustomProperty, VmKind
from covirt.engine.model.vm import Vm
from covirt.host.storage.socket_program import SocketProgram
from covirt.rpc.jsonrpc import Json
from tests.support.engine_samples import sample_id
from tests.support.images import write_policy
from tests.support.registry import Registry
from tests.support.roots import new_directory
from tests.support.storage_site import Site, new_site
from tests.support.transfers import ImageClient
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.root

_IMAGES = "../../covirt/containerimages"
_SECRETS = "../../covirt/secrets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A site with a storage domain, and an image in a registry."""

    site: Site
    domain_id: str
    reference: str

    def post(self, status: int = 201, **body: object) -> dict[str, object]:
        body = {
            "reference": self.reference,
            "storage_domain": {"name": "data"},
            "wait_seconds": 120,
            "tls_verify": False,
            **body,
        }
        answer: dict[str, object] = self.site.api.post(_IMAGES, body, status)
        return answer

    @property
    def images(self) -> list[Path]:
        """On disk."""
        return list((self.site.covirt_host.root.path / "data" / self.domain_id / "images").iterdir())

    @property
    def names(self) -> list[str]:
        """Of all images."""
        return [each["name"] for each in self.site.api.get(_IMAGES)["container_image"]]


@pytest.fixture(scope="module", name="place")
def place_fixture(registry: Registry, busybox_layout: Path) -> Iterator[Place]:
    reference = registry.push(busybox_layout, "busybox", "library/busybox:1")
    with new_directory() as directory:
        policy = write_policy(directory / "policy.json", {"type": "insecureAcceptAnything"})
        settings = f'[images]\ncontainer_image_policy = "{policy}"\nimageio_port = {free_port()}\n'
        with new_site(settings) as site:
            try:
                yield Place(site=site, domain_id=site.new_domain("data"), reference=reference)
            finally:
                SocketProgram(Root(site.covirt_host.root.path).run_dir / "host/imageio/sock").end(grace_seconds=5)


def test_the_life_of_an_image(place: Place) -> None:
    """Imported once, however often; listed with what is in it; kept while it is used, and then removed."""
    api = place.site.api
    image = place.post()
    assert (image["name"], image["status"], image["reused"]) == ("busybox:1", "ok", False)
    assert str(image["digest"]).startswith("sha256:")
    again = place.post(200, name="second")
    assert (again["id"], again["reused"]) == (image["id"], True)
    assert place.names == ["busybox:1"]
    assert [path.name for path in place.images] == [image["id"]]
    inspected = api.get(f"{_IMAGES}/{image['id']}")
    assert inspected["config"]
    disk = api.get(f"disks/{image['id']}")
    assert (disk["content_type"], disk["status"], disk["format"]) == ("iso", "ok", "raw")
    assert disk["provisioned_size"] == image["size_bytes"] != 0
    steps = api.get(f"jobs/{image['job']['id']}/steps")["step"]  # type: ignore[index]
    assert {step["status"] for step in steps} == {"finished"}

    _use(place, "busybox:1")
    assert "is used by: web" in api.delete(f"{_IMAGES}/{image['id']}", 409)
    _use(place, "other")
    api.delete(f"{_IMAGES}/{image['id']}")
    assert place.names == []
    assert place.images == []


def test_an_image_is_downloaded_and_never_uploaded_to(place: Place) -> None:
    """As a read-only disk; what comes out is the file that hosts mount."""
    api, image = place.site.api, place.post()
    moved = {"disk": {"id": image["id"]}, "format": "raw"}
    transfer = api.post("imagetransfers", {**moved, "direction": "download"}, 201)
    address, _, ticket = transfer["transfer_url"].rpartition("/images/")
    context = ssl.create_default_context(cafile=str(place.site.covirt_host.pki / "certs/cacert.pem"))
    client = ImageClient(port=int(address.rpartition(":")[2]), context=context, ticket_id=ticket)
    (path,) = place.images[0].glob("????????-????-????-????-????????????")
    data = path.read_bytes()
    assert client.download(len(data)) == (206, data)
    assert client.upload(b"x") == 403
    assert "is locked" in str(api.delete(f"{_IMAGES}/{image['id']}", 409))
    api.post(f"imagetransfers/{transfer['id']}/finalize", {}, 200)
    assert "is a container image" in str(api.post("imagetransfers", {**moved, "direction": "upload"}, 409))
    api.delete(f"{_IMAGES}/{image['id']}")


def test_two_imports_at_once_are_one_image(place: Place) -> None:
    def imported(name: str) -> dict[str, object]:
        body = {"reference": place.reference, "storage_domain": {"name": "data"}, "wait_seconds": 120, "name": name}
        done = place.site.api.client.post(_IMAGES, json={**body, "tls_verify": False})
        answer: dict[str, object] = done.json()
        assert done.status_code == (200 if answer["reused"] else 201)
        return answer

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(imported, ("first", "second")))
    assert len({answer["id"] for answer in answers}) == 1
    assert sorted(bool(answer["reused"]) for answer in answers) == [False, True]
    assert [path.name for path in place.images] == [answers[0]["id"]]
    place.site.api.delete(f"{_IMAGES}/{answers[0]['id']}")


def test_an_import_whose_job_the_host_has_forgotten(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended while the engine was away, so long ago that the host knows only of its volume."""
    hosts = place.site.hosts
    call = hosts.call

    def ended(host_id: str, params: Mapping[str, Json] | None) -> bool:
        job_id = (params or {})["jobID"]
        jobs: Any = call(host_id, "Host.getJobs", {"job_ids": [job_id]})
        return bool(jobs[job_id]["status"] == "done")

    def forgetful(host_id: str, verb: str, params: Mapping[str, Json] | None = None, **named: Any) -> Json:
        answer = call(host_id, verb, params, **named)
        if verb == "ContainerImage.import":
            wait_until(lambda: ended(host_id, params), what="the volume")
            return call(host_id, verb, {**(params or {}), "jobID": str(uuid4())}, **named)
        return answer

    monkeypatch.setattr(hosts, "call", forgetful)
    image = place.post()
    assert image["status"] == "ok"
    place.site.api.delete(f"{_IMAGES}/{image['id']}")


def test_what_cannot_be_imported(place: Place) -> None:
    api = place.site.api
    assert "is not docker://HOST" in str(place.post(400, reference="busybox"))
    assert "is not docker://HOST" in str(place.post(400, reference="docker://host/x -dest dir:/etc"))
    assert "There is no Storage Domain" in str(place.post(404, storage_domain={"name": "nowhere"}))
    assert "wait_seconds" in str(place.post(400, wait_seconds=-1))
    assert "required for add" in str(api.post(_IMAGES, {}, 400))
    missing = f"{place.reference.rpartition(':')[0]}:none"
    assert "has failed on the host" in str(place.post(409, reference=missing))
    assert place.names == []
    assert api.get("disks") == {}
    assert place.images == []


def _use(place: Place, image: str) -> None:
    """A container whose image is named so."""
    with place.site.store.write() as session:
        (cluster,) = session.clusters.list()
        vm = session.vms.find(name="web")
        if vm is None:
            vm = Vm(
                id=sample_id("web"),
                name="web",
                cluster_id=cluster.id,
                kind=VmKind.CONTAINER,
                created_at=datetime.now(UTC),
            )
            session.vms.add(vm)
        named = (CustomProperty(name="containerImage", value=image),)
        session.vms.update(replace(vm, hardware=replace(vm.hardware, custom_properties=named)))


def test_a_registry_that_asks_for_a_password(place: Place, secure_registry: Registry, busybox_layout: Path) -> None:
    """The password is a secret: it comes to the registry, and is in no file of engine or host in clear."""
    api, password = place.site.api, secure_registry.password
    assert password is not None
    reference = secure_registry.push(busybox_layout, "busybox", "team/private:1")
    place.post(409, reference=reference, name="refused")
    api.post(_SECRETS, {"name": "registry", "username": secure_registry.user, "value": "wrong"})
    place.post(409, reference=reference, name="refused", credentials="registry")
    secret = api.put(f"{_SECRETS}/registry", {"value": password})
    assert "value" not in secret
    image = place.post(reference=reference, name="private", credentials="registry")
    assert (image["name"], image["status"]) == ("private", "ok")
    assert not [path for path in _files(place.site.covirt_host.root.path) if password.encode() in path.read_bytes()]
    place.post(409, reference=reference, credentials="nobody")
    api.put(f"{_SECRETS}/registry", {"username": ""})
    place.post(409, reference=reference, credentials="registry")
    api.delete(f"{_IMAGES}/{image['id']}")
    api.delete(f"{_SECRETS}/registry")


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
