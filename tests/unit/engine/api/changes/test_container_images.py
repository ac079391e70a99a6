# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who may use the container image that he imports, and what he is told of others who use it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from covirt.engine.api.app import create_app
from covirt.engine.api.container_images import container_image_routes
from covirt.engine.commands.command import Doing
from covirt.engine.commands.services import CommandServices
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.model.access import ObjectType
from covirt.engine.store.seed_data import made_id
from covirt.engine.store.store import Store
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json
from tests.support import engine_samples as s
from tests.support.direct_commands import DirectCommands
from tests.support.engine_api import api_client, api_services_of
from tests.support.engine_changing import Asker, give
from tests.support.vaults import new_vault

_IMAGES = "../../covirt/containerimages"


def _untold(doing: Doing, percent: int) -> None:
    """These operations have no rows of steps."""
    del doing, percent


def _jobs(params: Mapping[str, Json]) -> Json:
    asked = params["job_ids"]
    assert isinstance(asked, list)
    return {str(each): {"status": "done"} for each in asked}


def _role(store: Store, name: str) -> str:
    with store.read() as session:
        found = session.roles.find(name=name)
    assert found is not None
    return found.id


@pytest.fixture
def askers(store: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[Asker, Asker]:
    """An administrator, and a user who may add disks and machines."""
    monkeypatch.setattr(Doing, "progress", _untold)
    hosts = FakeHosts(up={s.HOST_ID})
    hosts.answers |= {
        "ContainerImage.import": {},
        "ContainerImage.remove": {},
        "Job.abort": HostRefused(host="oven", verb="Job.abort", code=Code.NO_SUCH_JOB, text="it has ended"),
        "Host.getJobs": _jobs,
        "ContainerImage.inspect": {"digest": f"sha256:{'b' * 64}", "size": 4096, "volumes": [], "config": {}},
    }
    commands = DirectCommands(CommandServices(store=store, hosts=hosts, vault=new_vault()))
    services = api_services_of(store, commands=commands, hosts=hosts)
    app = create_app(services, routes=container_image_routes(services))
    with store.write() as session:
        center = session.data_centers.get(s.CENTER_ID)
        session.data_centers.update(replace(center, spm_host_id=s.HOST_ID))
        cluster = session.clusters.get(s.CLUSTER_ID)
        session.clusters.update(replace(cluster, features=frozenset({made_id("feature", "containers", "4.8")})))
    give(store, s.USER_ID, _role(store, "DiskCreator"), ObjectType.STORAGE_DOMAIN, s.DOMAIN_ID)
    give(store, s.USER_ID, _role(store, "VmCreator"), ObjectType.CLUSTER, s.CLUSTER_ID)
    return Asker(client=api_client(app)), Asker(client=api_client(app, user="user"), filtered=True)


def _image(tag: str = "1") -> dict[str, object]:
    return {"reference": f"docker://registry.example.com/pot:{tag}", "storage_domain": {"id": s.DOMAIN_ID}}


def _container(name: str, image: str) -> dict[str, object]:
    values = {"containerType": "docker", "containerImage": image}
    properties = [{"name": key, "value": value} for key, value in values.items()]
    return {"name": name, "cluster": {"name": "kitchen"}, "custom_properties": {"custom_property": properties}}


def test_who_imports_an_image_owns_it(askers: tuple[Asker, Asker]) -> None:
    _, user = askers
    made = user.post(_IMAGES, _image())
    assert [each["id"] for each in user.get(_IMAGES)["container_image"]] == [made["id"]]
    user.post("vms", _container("mine", made["id"]))
    assert user.get(f"{_IMAGES}/{made['id']}")["used_by"] == ["mine"]
    assert "is used by: mine" in user.delete(f"{_IMAGES}/{made['id']}", 409)


def test_who_imports_it_again_may_use_it(askers: tuple[Asker, Asker], store: Store) -> None:
    admin, user = askers
    made = admin.post(_IMAGES, _image())
    admin.post("vms", _container("theirs", made["id"]))
    user.post("vms", _container("mine", made["id"]), 403)
    for _ in range(2):
        again = user.post(_IMAGES, _image("2"), 200)
        assert (again["id"], again["reused"], again["used_by"]) == (made["id"], True, [])
    user.post("vms", _container("mine", made["id"]))
    assert user.get(_IMAGES)["container_image"][0]["used_by"] == ["mine"]
    assert admin.get(_IMAGES)["container_image"][0]["used_by"] == ["mine", "theirs"]
    assert "delete_disk" in user.delete(f"{_IMAGES}/{made['id']}", 403)
    with store.read() as session:
        given = [each for each in session.permissions.list() if each.subject.type is ObjectType.DISK]
    assert sorted(each.subject.id for each in given) == [made["id"]] * 2
