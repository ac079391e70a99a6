# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets of VM.create: its container has them, virtocid keeps them meanwhile, and nothing is left of them."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from covirt.common.files import make_directory
from covirt.common.root import Root
from covirt.host.virt.container_secrets import SecretRef, define_secret
from covirt.host.virt.kinds import Kind
from covirt.host.virt.records import Records, VmRecord
from covirt.hostapi.errors import Code
from tests.integration.host.virt.test_vms_recovery import MOST_RECORDS, agent
from tests.support.guest import TinyGuest
from tests.support.host_vms import HostVms, container_xml, machine_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

_VALUE: Final = "correct horse battery staple"
_SLEEP: Final = "sleep 1000"
_ID: Final = "6a4bb36d-2d5c-4d2f-8e7f-3f6c0f1d2e11"


def secret(value: bytes = _VALUE.encode(), **more: Any) -> dict[str, Any]:
    return {"name": "db", "value": base64.b64encode(value).decode(), **more}


FILE: Final = secret(path="/run/secrets/db", mode="0400")
VARIABLE: Final = secret(environment="DB_PASSWORD")


@pytest.fixture
def host(root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid) -> Iterator[HostVms]:
    with serve_vms(root_dir, oci_uri=virtocid.uri, qemu_uri=libvirtd.uri) as running:
        yield running
    assert kept(virtocid) == [], "a Vm that was destroyed leaves no secret"


def settings(xml: str, *secrets: Mapping[str, Any]) -> dict[str, Any]:
    return {"xml": xml, "secrets": list(secrets)}


def create(host: HostVms, xml: str, *secrets: Mapping[str, Any]) -> str:
    vm_id: str = host.call("VM.create", vmID="", vmParams=settings(xml, *secrets))["vmId"]
    return vm_id


def kept(virtocid: Virtocid) -> list[str]:
    return [line.split()[0] for line in virtocid.tell("secret-list").splitlines()]


def told(virtocid: Virtocid, name: str, *words: str) -> str:
    completed = virtocid.exec(name, "--", *words)
    assert completed.status == 0, completed.stderr
    return completed.stdout.decode()


def test_a_container_has_what_it_was_given(host: HostVms, virtocid: Virtocid) -> None:
    vm_id = create(host, container_xml("web", _SLEEP), FILE, VARIABLE, secret(path="/etc/key", mode="440", gid=5))
    host.wait_for(vm_id, "Up")
    assert told(virtocid, "web", "cat", "/run/secrets/db") == _VALUE
    assert told(virtocid, "web", "sh", "-c", 'printf %s "$DB_PASSWORD"') == _VALUE
    assert told(virtocid, "web", "stat", "-c", "%a %u %g", "/etc/key") == "440 0 5\n"
    assert len(kept(virtocid)) == 3
    for uuid in kept(virtocid):
        text = virtocid.tell("secret-dumpxml", uuid)
        assert "ephemeral='yes' private='yes'" in text
        assert "<description>db of web</description>" in text
    host.call("VM.destroy", vmID=vm_id)
    assert kept(virtocid) == []


def test_the_usual_place_is_a_name_in_run_secrets(host: HostVms, virtocid: Virtocid) -> None:
    host.wait_for(create(host, container_xml("web", _SLEEP), secret()), "Up")
    assert told(virtocid, "web", "cat", "/run/secrets/db") == _VALUE


def test_it_is_told_nowhere(root_dir: Root, host: HostVms, virtocid: Virtocid) -> None:
    vm_id = create(host, container_xml("web", _SLEEP), FILE, VARIABLE)
    host.wait_for(vm_id, "Up")
    assert host.refusal("VM.create", vmParams=settings(container_xml("web", _SLEEP, vm_id=vm_id), FILE)).code == 4
    texts = [
        json.dumps(host.call("Host.dumpxmls", vmList=[vm_id])),
        json.dumps(host.call("Host.getAllVmStats")),
        json.dumps(host.told),
        (root_dir.state_dir / f"host/vms/{vm_id}.json").read_text(),
        virtocid.log,
    ]
    for word in (_VALUE, secret()["value"]):
        assert not any(word in text for text in texts)


def test_it_is_given_again_at_a_restart_by_policy(host: HostVms, virtocid: Virtocid) -> None:
    xml = container_xml("web", "sh -c 'test -s /run/secrets/db && sleep 1000'", containerRestart="always")
    vm_id = create(host, xml, FILE)
    host.wait_for(vm_id, "Up")
    before = virtocid.tell("domid", "web")
    virtocid.virsh("send-process-signal", "web", "1", "kill")
    wait_until(lambda: virtocid.tell("domid", "web") not in ("-", before), timeout_seconds=60)
    assert told(virtocid, "web", "cat", "/run/secrets/db") == _VALUE


def test_it_is_gone_when_the_container_has_ended(host: HostVms, virtocid: Virtocid) -> None:
    """However long its engine takes to destroy it."""
    vm_id = create(host, container_xml("web", "true"), FILE)
    wait_until(lambda: host.status(vm_id) == "Down")
    wait_until(lambda: kept(virtocid) == [], timeout_seconds=60)


def test_a_start_that_fails_leaves_none(host: HostVms, virtocid: Virtocid) -> None:
    vm_id = create(host, container_xml("web", _SLEEP, image="never"), FILE)
    wait_until(lambda: host.status(vm_id) == "Down")
    assert host.stats(vm_id)["exitReason"] != 0
    assert kept(virtocid) == []
    assert virtocid.tell("list", "--all", "--name") == ""


def test_two_in_one_place_are_refused_by_virtocid(host: HostVms, virtocid: Virtocid) -> None:
    vm_id = create(host, container_xml("web", _SLEEP), FILE, FILE)
    wait_until(lambda: host.status(vm_id) == "Down")
    assert "another secret is given as /run/secrets/db" in host.stats(vm_id)["exitMessage"]
    assert kept(virtocid) == []


def test_a_machine_is_given_none(host: HostVms, tiny_guest: TinyGuest, virtocid: Virtocid) -> None:
    refusal = host.refusal("VM.create", vmParams=settings(machine_xml(tiny_guest, "one"), FILE))
    assert refusal.code == Code.CANNOT_CREATE_VM
    assert "secrets are given to containers" in refusal.message
    assert host.call("Host.getVMList") == []


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (secret() | {"value": "*"}, "base64 is expected"),
        (secret() | {"value": None}, "base64 is expected"),
        (secret(b"x" * 65537), "at most 65536 bytes"),
        (secret(path="etc/key"), "secrets.0.path"),
        (secret(path="/a", environment="A"), "in a file or in a variable"),
        (secret(mode="4755"), "secrets.0.mode"),
        (secret() | {"name": "../x"}, "secrets.0.name"),
    ],
)
def test_malformed_ones_are_refused_without_telling_the_value(
    host: HostVms, given: dict[str, Any], word: str
) -> None:
    refusal = host.refusal("VM.create", vmParams=settings(container_xml("web", _SLEEP), given))
    assert word in refusal.message
    assert _VALUE not in refusal.message
    assert secret()["value"] not in refusal.message


def test_names_without_values_are_refused(host: HostVms) -> None:
    """An engine that keeps none says so by a property alone; the container would start without what it needs."""
    refusal = host.refusal("VM.create", vmParams=settings(container_xml("web", _SLEEP, containerSecrets="db")))
    assert refusal.code == Code.CANNOT_CREATE_VM
    assert "containerSecrets" in refusal.message


def test_anothers_secret_is_not_to_be_had_by_xml(host: HostVms, virtocid: Virtocid) -> None:
    vm_id = create(host, container_xml("web", _SLEEP), FILE)
    host.wait_for(vm_id, "Up")
    named = f"<c:secret uuid='{kept(virtocid)[0]}' path='/key'/>"
    own = f"<c:container xmlns:c='https://covirt.org/xmlns/container/1.0'>{named}</c:container></metadata>"
    xml = container_xml("thief", _SLEEP).replace("</metadata>", own)
    refusal = host.refusal("VM.create", vmParams=settings(xml))
    assert "a secret named in the XML" in refusal.message


def test_virtocid_is_killed_meanwhile(host: HostVms, virtocid: Virtocid) -> None:
    vm_id = create(host, container_xml("web", _SLEEP, containerRestart="always"), FILE)
    host.wait_for(vm_id, "Up")
    virtocid.kill()
    wait_until(lambda: host.stats(vm_id)["monitorResponse"] == "-1")
    virtocid.start()
    assert len(kept(virtocid)) == 1
    wait_until(lambda: host.stats(vm_id)["monitorResponse"] == "0")
    host.wait_for(vm_id, "Up")
    host.call("VM.reset", vmID=vm_id)
    assert told(virtocid, "web", "cat", "/run/secrets/db") == _VALUE


def test_the_agent_is_killed_between_a_secret_and_its_container(
    root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid
) -> None:
    ref = SecretRef(uuid=_ID, name="db", path="/run/secrets/db")
    with virtocid.connect() as connection:
        define_secret(connection, ref, b"x", vm_name="web")
    xml = container_xml("web", _SLEEP, vm_id=_ID)
    record = VmRecord(vm_id=_ID, name="web", kind=Kind.CONTAINER, xml=xml, owns_domain=True, secrets=(ref,))
    make_directory(root_dir.state_dir / "host/vms")
    Records(root_dir.state_dir / "host/vms").save(record)
    with serve_vms(root_dir, oci_uri=virtocid.uri, qemu_uri=libvirtd.uri) as host:
        wait_until(lambda: host.status(_ID) == "Down")
        assert kept(virtocid) == []


@pytest.mark.timeout(300)  # a container for each record
def test_the_agent_is_killed_at_every_record(root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid) -> None:
    """A container that runs has its secret, and of one that does not there is none."""
    xml = container_xml("killed", _SLEEP, vm_id=_ID)
    for kill_at in range(1, MOST_RECORDS):
        with agent(root_dir, virtocid, kill_at=kill_at) as first:
            first.call("VM.create", vmParams=settings(xml, FILE))
            first.wait_for(_ID, "Up")
            first.call("VM.destroy", vmID=_ID)
            was_killed = first.call("Host.getVMList") is None
        with serve_vms(root_dir, oci_uri=virtocid.uri) as host:
            if host.status(_ID) == "Up":
                assert told(virtocid, "killed", "cat", "/run/secrets/db") == _VALUE
            else:
                wait_until(lambda: kept(virtocid) == [], timeout_seconds=60)
        assert kept(virtocid) == [], kill_at
        assert virtocid.tell("list", "--all", "--uuid") == ""
        if not was_killed:
            assert kill_at > 5
            return
    raise AssertionError("it was killed every time")
