# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets over the API: values go in and never come out, and containers are given them by who may use them."""

import base64
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from covirt.engine.api.app import create_app
from covirt.engine.api.secrets import secret_routes
from covirt.engine.commands.services import CommandServices
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.model.access import ObjectType
from covirt.engine.model.host import HostFacts
from covirt.engine.store.seed_data import made_id
from covirt.engine.store.store import Store
from tests.support import engine_samples as s
from tests.support.acting_host import ActingHost
from tests.support.direct_commands import DirectCommands
from tests.support.engine_api import api_client, api_services_of
from tests.support.engine_changing import Asker, events, give
from tests.support.vaults import new_vault

SECRETS = "../../covirt/secrets"
CREATOR = "c0417000-0000-0000-0000-000000000001"
OPERATOR = "def00006-0000-0000-0000-def000000006"
VALUE = "horse & <battery>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    store: Store
    host: ActingHost
    api: Asker
    user: Asker

    def add(self, name: str = "door", **fields: Any) -> Any:
        return self.api.post(SECRETS, {"name": name, "value": VALUE, **fields})

    def set_host(self, **changes: Any) -> None:
        with self.store.write() as session:
            facts: HostFacts = session.hosts.get(s.HOST_ID).facts
            session.hosts.update_facts(s.HOST_ID, replace(facts, **changes))

    def container(self, secrets: str, status: int = 201, asker: Asker | None = None) -> Any:
        return (asker or self.api).post("vms", self.body(secrets), status)

    @staticmethod
    def body(secrets: str) -> dict[str, Any]:
        values = {"containerType": "docker", "containerImage": "web", "containerSecrets": secrets}
        properties = [{"name": name, "value": value} for name, value in values.items()]
        where = {"cluster": {"name": "kitchen"}, "template": {"name": "Blank"}}
        return {"name": "web", **where, "custom_properties": {"custom_property": properties}}


@pytest.fixture
def safe(store: Store, *, again: bool) -> Safe:
    hosts, vault = FakeHosts(up={s.HOST_ID}), new_vault()
    commands = DirectCommands(CommandServices(store=store, hosts=hosts, vault=vault), again=again)
    services = api_services_of(store, commands=commands, hosts=hosts)
    app = create_app(services, routes=secret_routes(services, vault))
    with store.write() as session:
        cluster = session.clusters.get(s.CLUSTER_ID)
        session.clusters.update(replace(cluster, features=frozenset({made_id("feature", "containers", "4.8")})))
    user = Asker(client=api_client(app, user="user"), filtered=True)
    made = Safe(store=store, host=ActingHost(hosts), api=Asker(client=api_client(app)), user=user)
    made.set_host(containers=True, container_runtimes=("runc",), extensions=("vm-secrets",), cpu_threads=8)
    return made


def test_a_value_goes_in_and_never_comes_out(safe: Safe, tmp_path: Path) -> None:
    secret = safe.add(username="tom", description="Of the front door")
    assert {name: secret[name] for name in ("name", "username", "description", "used_by")} == {
        "name": "door",
        "username": "tom",
        "description": "Of the front door",
        "used_by": [],
    }
    assert set(secret) == {"id", "name", "username", "description", "used_by", "created", "changed"}
    assert safe.api.get(SECRETS) == {"secret": [secret]}
    assert safe.api.get(f"{SECRETS}/door") == safe.api.get(f"{SECRETS}/{secret['id']}") == secret
    changed = safe.api.put(f"{SECRETS}/door", {"value_base64": base64.b64encode(b"\0\xff").decode()})
    assert (changed["username"], changed["description"]) == ("tom", "Of the front door")
    told = [event.description for event in events(safe.store, 2)]
    assert told == [
        "Secret door was changed by admin@internal-authz, who gave it a new value.",
        "Secret door was added by admin@internal-authz.",
    ]
    files = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert files
    assert not any(VALUE.encode() in data for data in files)
    safe.api.delete(f"{SECRETS}/door")
    safe.api.get(f"{SECRETS}/door", 404)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"name": "a"}, 400, "name, value|value_base64"),
        ({"value": "12345"}, 400, "name, value|value_base64"),
        ({"name": "../a", "value": "12345"}, 400, "begins with a letter or a digit"),
        ({"name": "door", "value": "12345"}, 409, "called door already"),
        ({"name": "a", "value": ""}, 400, "must have 1 to 65536"),
        ({"name": "a", "value": "12345" * 14000}, 400, "has 70000 bytes"),
        ({"name": "a", "value": 12345}, 400, "must be a text"),
        ({"name": "a", "value": "12345", "value_base64": "MTIzNDU="}, 400, "given twice"),
        ({"name": "a", "value_base64": "12345"}, 400, "is not base64"),
        ({"name": "a", "value": "12345", "username": "x\ny"}, 400, "printable"),
    ],
)
def test_what_is_refused_and_never_repeated(safe: Safe, body: Any, status: int, sentence: str) -> None:
    safe.add()
    refused = safe.api.post(SECRETS, body, status)
    assert sentence in str(refused)
    assert "12345" not in str(refused)


def test_a_name_stays(safe: Safe) -> None:
    safe.add()
    assert "keeps its name" in safe.api.put(f"{SECRETS}/door", {"name": "gate"}, 400)


def test_a_container_is_given_its_secrets(safe: Safe, tmp_path: Path) -> None:
    safe.add()
    safe.add("gate")
    vm = safe.container("door,door:/etc/door.key,gate:GATE")
    assert safe.api.get(f"{SECRETS}/door")["used_by"] == ["web"]
    assert "given to: web" in safe.api.delete(f"{SECRETS}/door", 409)
    safe.api.post(f"vms/{vm['id']}/start", {}, 200)
    value = base64.b64encode(VALUE.encode()).decode()
    file = {"value": value, "mode": "0400"}  # and of whom the container starts as
    assert safe.host.secrets[vm["id"]] == [
        {"name": "door", "path": "/run/secrets/door", **file},
        {"name": "door", "path": "/etc/door.key", **file},
        {"name": "gate", "value": value, "environment": "GATE"},
    ]
    assert VALUE not in safe.host.guests[vm["id"]]
    files = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert not any(VALUE.encode() in data or value.encode() in data for data in files)
    safe.api.post(f"vms/{vm['id']}/stop", {}, 200)
    safe.api.delete(f"vms/{vm['id']}")
    safe.api.delete(f"{SECRETS}/door")


def test_a_start_that_cannot_have_its_secrets(safe: Safe) -> None:
    assert "no secret called door" in safe.container("door", 409)
    assert "neither an absolute path" in safe.container("door:a/b", 400)
    both = safe.body("door:DOOR")
    both["custom_properties"]["custom_property"].append({"name": "containerEnvironment", "value": "A=b DOOR=open"})
    assert "DOOR is set by containerEnvironment, too" in safe.api.post("vms", both, 400)
    safe.api.post(SECRETS, {"name": "door", "value_base64": base64.b64encode(b"\xff").decode()})
    vm = safe.container("door:DOOR")
    assert "can be given as a file only" in safe.api.post(f"vms/{vm['id']}/start", {}, 409)
    safe.api.put(f"{SECRETS}/door", {"value": VALUE})
    safe.api.put(f"{SECRETS}/door", {"value": "x" * 65536})
    safe.api.put(f"vms/{vm['id']}", safe.body(",".join(f"door:/etc/{number}" for number in range(17))))
    assert "1114112 bytes together" in safe.api.post(f"vms/{vm['id']}/start", {}, 409)
    safe.set_host(extensions=())
    assert "cannot give secrets to containers" in safe.api.post(f"vms/{vm['id']}/start", {}, 409)


def test_a_machine_of_before_a_rule_hides_no_secret(safe: Safe) -> None:
    safe.add()
    vm = safe.container("door")
    with safe.store.write() as session:
        found = session.vms.get(vm["id"])
        changed = [replace(each, value="door,door") if each.name == "containerSecrets" else each
                   for each in found.hardware.custom_properties]  # fmt: skip
        session.vms.update(replace(found, hardware=replace(found.hardware, custom_properties=tuple(changed))))
    assert safe.api.get(SECRETS)["secret"][0]["used_by"] == ["web"]
    assert "given to: web" in safe.api.delete(f"{SECRETS}/door", 409)
    assert "given twice" in safe.api.post(f"vms/{vm['id']}/start", {}, 400)


def test_who_may_use_a_secret(safe: Safe) -> None:
    """Neither see nor use it, until its owner says so."""
    secret = safe.add()
    give(safe.store, s.USER_ID, OPERATOR, ObjectType.CLUSTER, s.CLUSTER_ID)
    give(safe.store, s.USER_ID, OPERATOR, ObjectType.DISK, s.ISO_ID)
    assert safe.user.get(SECRETS) == {"secret": []}
    safe.user.get(f"{SECRETS}/door", 404)
    safe.user.post(SECRETS, {"name": "own", "value": "x"}, 403)
    safe.container("door", 403, safe.user)
    vm = safe.container("door")
    safe.user.post(f"vms/{vm['id']}/start", {}, 403)
    safe.user.put(f"vms/{vm['id']}", safe.body("door:DOOR"), 403)
    shared = {"role": {"name": "SecretUser"}, "user": {"user_name": "cook@internal-authz"}}
    safe.user.post(f"{SECRETS}/door/permissions", shared, 404)
    permission = safe.api.post(f"{SECRETS}/door/permissions", shared)
    told = {each["id"]: each for each in safe.api.get(f"{SECRETS}/door/permissions")["permission"]}
    assert told[permission["id"]]["role"] == "SecretUser"
    assert told[permission["id"]]["name"] == "cook@internal-authz"
    assert [each["id"] for each in safe.user.get(SECRETS)["secret"]] == [secret["id"]]
    safe.user.put(f"{SECRETS}/door", {"value": "x"}, 403)
    safe.user.delete(f"{SECRETS}/door", 403)
    safe.user.post(f"{SECRETS}/door/permissions", shared, 403)
    safe.user.put(f"vms/{vm['id']}", safe.body("door:DOOR"))
    safe.user.post(f"vms/{vm['id']}/start", {}, 200)
    safe.api.delete(f"{SECRETS}/door/permissions/{permission['id']}")
    safe.user.get(f"{SECRETS}/door", 404)


def test_who_makes_one_owns_it(safe: Safe) -> None:
    give(safe.store, s.USER_ID, CREATOR)
    safe.user.post(SECRETS, {"name": "own", "value": "x"})
    safe.add()
    assert [each["name"] for each in safe.user.get(SECRETS)["secret"]] == ["own"]
    safe.user.put(f"{SECRETS}/own", {"value": "y"})
    safe.user.delete(f"{SECRETS}/own")


def test_who_still_uses_a_secret_is_told_to_who_sees_it(safe: Safe) -> None:
    """An owner who shares it does not learn what the others call their machines."""
    give(safe.store, s.USER_ID, CREATOR)
    safe.user.post(SECRETS, {"name": "own", "value": "x"})
    vm = safe.container("own")
    assert "given to: 1 that you do not see. Take it" in safe.user.delete(f"{SECRETS}/own", 409)
    assert "given to: web. Take it" in safe.api.delete(f"{SECRETS}/own", 409)
    safe.api.delete(f"vms/{vm['id']}")
    safe.user.delete(f"{SECRETS}/own")
