# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Machines are added, changed, started and stopped through the API, on a host that is played."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml
from lxml import etree

from covirt.engine.commands.services import CommandServices
from covirt.engine.hosts.errors import HostUncertain
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.model.access import ObjectType
from covirt.engine.model.container_image import ContainerImage
from covirt.engine.model.disk import Disk, DiskAttachment, DiskContentType
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.host import HostFacts, HostStatus
from covirt.engine.model.vm import GraphicsFacts, Vm, VmFacts, VmStatus
from covirt.engine.store.seed_data import made_id
from covirt.engine.store.store import Store
from covirt.engine.vms.kinds import ACTIONS
from tests.support import engine_samples as s
from tests.support.acting_host import ActingHost
from tests.support.acting_state import ActingState
from tests.support.direct_commands import DirectCommands
from tests.support.engine_api import api_app_of, api_client
from tests.support.engine_changing import Asker, events, give
from tests.support.vaults import new_vault

GIB = 1 << 30
OPERATOR = "def00006-0000-0000-0000-def000000006"
BLANK: Mapping[str, Any] = {"cluster": {"name": "kitchen"}, "template": {"name": "Blank"}}
NETWORK_BOOT: Mapping[str, Any] = {"os": {"boot": {"devices": {"device": ["network"]}}}}
CONTAINER = {
    "custom_property": [{"name": "containerType", "value": "docker"}, {"name": "containerImage", "value": "web"}]
}


@dataclass
class Kitchen:
    """An installation with a host that acts; ``api`` asks it as an administrator."""

    store: Store
    hosts: FakeHosts
    host: ActingHost
    api: Asker
    user: Asker

    def vm(self, vm_id: str) -> Vm:
        with self.store.read() as session:
            vm: Vm = session.vms.get(vm_id)
            return vm

    def set_facts(self, vm_id: str, **changes: Any) -> None:
        with self.store.write() as session:
            session.vms.update_facts(vm_id, replace(session.vms.get(vm_id).facts, **changes))

    def set_host(self, **changes: Any) -> None:
        with self.store.write() as session:
            facts: HostFacts = session.hosts.get(s.HOST_ID).facts
            session.hosts.update_facts(s.HOST_ID, replace(facts, **changes))

    def enable_containers(self) -> None:
        with self.store.write() as session:
            cluster = session.clusters.get(s.CLUSTER_ID)
            session.clusters.update(replace(cluster, features=frozenset({made_id("feature", "containers", "4.8")})))
        self.set_host(containers=True, container_runtimes=("crun", "runc"))

    def add(self, name: str = "web", status: int = 201, **fields: Any) -> Any:
        """The new machine's id, or why it was refused."""
        answer = self.api.post("vms", {"name": name, **BLANK, **NETWORK_BOOT, **fields}, status)
        return answer["id"] if status == 201 else answer

    def add_nic(self, vm_id: str, **fields: Any) -> str:
        nic = {"name": "nic1", "vnic_profile": {"id": s.PROFILE_ID}, **fields}
        return str(self.api.post(f"vms/{vm_id}/nics", nic)["id"])

    def add_bootable(self, name: str = "web", **fields: Any) -> str:
        vm_id = str(self.add(name, **fields))
        self.add_nic(vm_id)
        return vm_id

    def act(self, vm_id: str, action: str, status: int = 200, **body: Any) -> Any:
        return self.api.post(f"vms/{vm_id}/{action}", body, status)

    def status(self, vm_id: str) -> str:
        return str(self.api.get(f"vms/{vm_id}")["status"])

    def xml(self, vm_id: str) -> etree._Element:
        return etree.fromstring(self.host.guests[vm_id])

    def add_image(self, *volumes: str) -> None:
        """A container image in the storage domain, called web; without volumes it was not imported, and its host has
        to look at it."""
        with self.store.write() as session:
            disk = replace(session.disks.get(s.ISO_ID), name="web", content_type=DiskContentType.ISO)
            session.disks.update(disk)
            if volumes:
                digest = f"sha256:{'a' * 64}"
                session.container_images.add(
                    ContainerImage(id=disk.id, reference="docker://r/web:1", digest=digest, volumes=volumes)
                )


@pytest.fixture
def kitchen(store: Store, *, again: bool) -> Kitchen:
    return _kitchen(store, again=again)


@pytest.fixture
def quick(store: Store) -> Kitchen:
    return _kitchen(store, again=False)


def _kitchen(store: Store, *, again: bool) -> Kitchen:
    hosts = FakeHosts(up={s.HOST_ID})
    commands = DirectCommands(CommandServices(store=store, hosts=hosts, vault=new_vault()), again=again)
    app = api_app_of(store, commands=commands, hosts=hosts)
    made = Kitchen(
        store=store,
        hosts=hosts,
        host=ActingHost(hosts),
        api=Asker(client=api_client(app)),
        user=Asker(client=api_client(app, user="user"), filtered=True),
    )
    made.set_host(networks=("pipes",), cpu_threads=8)
    return made


def test_a_machine_from_its_adding_to_its_end(kitchen: Kitchen) -> None:
    vm_id = kitchen.add_bootable(memory=2 * GIB, cpu={"topology": {"cores": 2}}, description="Soup & <salt>")
    assert kitchen.status(vm_id) == "down"
    assert [event.description for event in events(kitchen.store, 2)][
        1
    ] == "VM web was created by admin@internal-authz."
    kitchen.act(vm_id, "start")
    assert kitchen.status(vm_id) == "up"
    assert kitchen.vm(vm_id).facts.host_id == s.HOST_ID
    told = events(kitchen.store, 1)[0]
    assert (told.code, told.description) == (153, "VM web was started by admin@internal-authz (Host: oven).")
    root = kitchen.xml(vm_id)
    assert (root.findtext("uuid"), root.findtext("memory")) == (vm_id, str(2 * GIB >> 10))
    assert root.find("devices/interface/source").get("bridge") == "pipes"  # type: ignore[union-attr]
    assert "VM is running" in kitchen.act(vm_id, "start", 409)
    assert "VM is running" in kitchen.api.delete(f"vms/{vm_id}", 409)
    kitchen.act(vm_id, "shutdown", reason="supper")
    assert kitchen.status(vm_id) == "powering_down"
    kitchen.set_facts(vm_id, status=VmStatus.UP)
    kitchen.act(vm_id, "reboot")
    kitchen.act(vm_id, "reset")
    kitchen.act(vm_id, "stop", reason="late")
    assert kitchen.host.guests == {}
    assert kitchen.status(vm_id) == "down"
    assert events(kitchen.store, 1)[0].description == (
        "VM web powered off by admin@internal-authz (Host: oven). Reason: late."
    )
    assert "VM is not running" in kitchen.act(vm_id, "stop", 409)
    kitchen.api.delete(f"vms/{vm_id}")
    kitchen.api.get(f"vms/{vm_id}", 404)


def test_adding_wants_a_name_and_a_cluster(quick: Kitchen) -> None:
    assert "Vm [cluster.id|name] required for add" in quick.api.post("vms", {"name": "x"}, 400)
    assert "Vm [name" in quick.api.post("vms", {"cluster": {"name": "kitchen"}}, 400)
    assert "VM names may only" in quick.add("sou p", 400)
    assert "The VM name is already in use" in quick.add("soup", 409)
    quick.api.post("vms", {"name": "x", "cluster": {"name": "garden"}}, 404)


def guest_nics(**values: str) -> dict[str, Any]:
    return {"nic_configurations": {"nic_configuration": [values]}}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"description": "x" * 4001}, "not a valid text for 'description': it has more than 4000 characters"),
        ({"memory": 0}, "must be 1 MB at least"),
        ({"memory_policy": {"guaranteed": 2 * GIB}}, "Physical Memory Guaranteed cannot exceed Memory Size"),
        ({"memory_policy": {"max": GIB // 2}}, "cannot exceed maximum memory size (512MB)"),
        ({"cpu": {"topology": {"sockets": 17}}}, "Maximum number of sockets exceeded"),
        ({"cpu": {"topology": {"threads": 9}}}, "Maximum number of threads per cpu exceeded"),
        ({"cpu": {"topology": {"cores": 0}}}, "at least one CPU socket"),
        ({"cpu": {"topology": {"cores": -1}}}, "'-1' is not a valid number"),
        ({"stateless": True}, "leave out 'stateless'"),
        ({"high_availability": {"enabled": True}}, "leave out 'high_availability.enabled'"),
        ({"lease": {"storage_domain": {"id": s.DOMAIN_ID}}}, "leave out 'lease'"),
        ({"payloads": {"payload": [{"type": "cdrom"}]}}, "leave out 'payloads'"),
        ({"initialization": {"windows_license_key": "x"}}, "leave out 'initialization.windows_license_key'"),
        ({"initialization": {"cloud_init_network_protocol": "eni"}}, "leave out 'initialization.cloud_init_network"),
        ({"initialization": {"root_password": "covirt-sealed:x"}}, "not a valid beginning"),
        ({"initialization": guest_nics(name="eth0", on_boot="false")}, "leave out 'nic_configuration.on_boot'"),
        ({"initialization": guest_nics(name="eth0", boot_protocol="static")}, "static needs one"),
        ({"initialization": guest_nics(name="eth0", ipv6_boot_protocol="autoconf")}, "there are none, dhcp, static"),
        ({"initialization": guest_nics(boot_protocol="dhcp")}, "as in eth0"),
        ({"custom_properties": {"custom_property": [{"name": "soup", "value": "1"}]}}, "The keys are: soup"),
        (
            {"custom_properties": {"custom_property": [{"name": "containerImage", "value": "web"}]}},
            "says nothing to a virtual machine",
        ),
        ({"nics": {"nic": [{"name": "nic1"}]}}, "A machine is added without 'nics'"),
    ],
)
def test_what_cannot_be_had_is_refused(quick: Kitchen, fields: dict[str, Any], sentence: str) -> None:
    assert sentence in quick.add("x", 400, **fields)


def test_what_is_given_is_given_back(quick: Kitchen) -> None:
    fields: dict[str, Any] = {
        "type": "desktop",
        "bios": {"type": "q35_ovmf", "boot_menu": {"enabled": "true"}},
        "display": {"type": "spice", "monitors": "2"},
        "memory": GIB,
        "memory_policy": {"guaranteed": GIB // 2, "max": 2 * GIB, "ballooning": "false"},
        "cpu_shares": "512",
        "time_zone": {"name": "Europe/Berlin"},
        "delete_protected": "true",
        "instance_type": {"name": "Bowl"},
        "placement_policy": {"affinity": "pinned", "hosts": {"host": [{"name": "oven"}]}},
    }
    told = quick.api.get(f"vms/{quick.add(**fields)}")
    assert {name: told[name] for name in ("type", "memory", "cpu_shares", "time_zone", "delete_protected")} == {
        name: fields[name] for name in ("type", "memory", "cpu_shares", "time_zone", "delete_protected")
    }
    assert told["memory_policy"] == fields["memory_policy"]
    assert told["bios"] == fields["bios"]
    assert told["placement_policy"]["hosts"]["host"][0]["id"] == s.HOST_ID
    assert "Delete protection is enabled" in quick.api.delete(f"vms/{told['id']}", 409)


def test_nobody_adds_or_runs_what_he_may_not(quick: Kitchen) -> None:
    machine = {"name": "mine", **BLANK, **NETWORK_BOOT}
    quick.user.post("vms", machine, 403)
    give(quick.store, s.USER_ID, OPERATOR, ObjectType.CLUSTER, s.CLUSTER_ID)
    mine = quick.user.post("vms", machine, 201)["id"]
    other = quick.add("others")
    quick.user.delete(f"vms/{mine}")
    assert quick.vm(other).name == "others"


def test_a_change_of_a_running_machine_waits(kitchen: Kitchen) -> None:
    vm_id = kitchen.add_bootable()
    kitchen.act(vm_id, "start")
    kitchen.api.put(f"vms/{vm_id}", {"memory": 2 * GIB, "comment": "more", "delete_protected": "true"})
    now, then = kitchen.api.get(f"vms/{vm_id}"), kitchen.api.get(f"vms/{vm_id}?next_run=true")
    assert (now["memory"], now["next_run_configuration_exists"], now["comment"]) == (GIB, "true", "more")
    assert (then["memory"], then["delete_protected"]) == (2 * GIB, "true")
    kitchen.act(vm_id, "stop")
    kitchen.act(vm_id, "start")
    now = kitchen.api.get(f"vms/{vm_id}")
    assert (now["memory"], now["next_run_configuration_exists"]) == (2 * GIB, "false")
    assert kitchen.xml(vm_id).findtext("memory") == str(2 * GIB >> 10)


def test_a_template_of_a_machine_stays(quick: Kitchen) -> None:
    vm_id = quick.add()
    assert "its template cannot be changed" in quick.api.put(f"vms/{vm_id}", {"template": {"name": "broth"}}, 400)
    assert "already in use" in quick.api.put(f"vms/{vm_id}", {"name": "soup"}, 409)


def test_why_it_does_not_start(quick: Kitchen) -> None:
    vm_id = quick.add(memory=50 * GIB)
    assert "at least one bootable disk" in quick.act(vm_id, "start", 409)
    quick.add_nic(vm_id)
    reason = "The host oven did not satisfy internal filter Memory because its available memory is too low"
    assert reason in quick.act(vm_id, "start", 409)
    quick.api.put(f"vms/{vm_id}", {"memory": GIB})
    quick.set_host(status=HostStatus.NON_RESPONSIVE)
    assert "internal filter State because its status is non_responsive" in quick.act(vm_id, "start", 409)
    quick.set_host(status=HostStatus.UP, networks=("gas",))
    assert "internal filter Network because network(s) pipes are missing" in quick.act(vm_id, "start", 409)
    quick.set_host(networks=("pipes",))
    for field, value in (("use_sysprep", "true"), ("volatile", "true")):
        assert f"leave out '{field}'" in quick.act(vm_id, "start", 400, **{field: value})
    assert "'vm.memory' cannot be had for one run" in quick.act(vm_id, "start", 400, vm={"memory": GIB})
    quick.act(vm_id, "start", vm={"os": {"boot": {"devices": {"device": ["network"]}}}}, pause="true")
    assert "launchPaused" in quick.host.guests[vm_id]


def _first_settings(kitchen: Kitchen, vm_id: str) -> dict[str, str]:
    """The files that its host was sent along, by their names."""
    files = kitchen.xml(vm_id).iterfind(".//{http://ovirt.org/vm/1.0}payload/{http://ovirt.org/vm/1.0}file")
    return {file.get("path", "").rpartition("/")[2]: base64.b64decode(file.text or "").decode() for file in files}


def _again(kitchen: Kitchen, vm_id: str, **body: Any) -> dict[str, str]:
    kitchen.act(vm_id, "start", **body)
    files = _first_settings(kitchen, vm_id)
    kitchen.act(vm_id, "stop")
    return files


def test_first_settings_are_told_at_the_first_start(kitchen: Kitchen) -> None:
    vm_id = kitchen.add_bootable(
        initialization={"host_name": "web", "root_password": "soup", "custom_script": "a: b"}
    )
    assert set(kitchen.api.get(f"vms/{vm_id}")["initialization"]) == {"host_name"}
    kept = str(kitchen.vm(vm_id))
    assert "soup" not in kept
    assert "a: b" not in kept
    files = _again(kitchen, vm_id)
    assert json.loads(files["meta_data.json"])["hostname"] == "web"
    told = yaml.safe_load(files["user_data"])
    assert (told["password"], told["a"]) == ("soup", "b")
    assert "network_data.json" not in files
    assert _again(kitchen, vm_id) == {}
    assert _again(kitchen, vm_id, use_cloud_init="true").keys() == files.keys()
    assert _again(kitchen, vm_id, use_initialization="true").keys() == files.keys()
    kitchen.api.put(f"vms/{vm_id}", {"initialization": {"host_name": "soup"}})
    assert _again(kitchen, vm_id, use_cloud_init="false") == {}
    files = _again(kitchen, vm_id)
    assert json.loads(files["meta_data.json"])["hostname"] == "soup"
    assert "password: soup" in files["user_data"], "what the body does not say stays"
    kitchen.api.put(f"vms/{vm_id}", {"initialization": {}})
    assert _again(kitchen, vm_id, use_cloud_init="true") == {}


def test_first_settings_of_one_start(kitchen: Kitchen) -> None:
    """As Ansible's module asks for them; the machine does not keep them."""
    vm_id = kitchen.add_bootable()
    once = {"initialization": {"user_name": "cook", "root_password": "peas-and-soup"}}
    files = _again(kitchen, vm_id, use_cloud_init="true", vm=once)
    told = yaml.safe_load(files["user_data"])
    assert (told["user"], told["password"]) == ("cook", "peas-and-soup")
    assert kitchen.vm(vm_id).hardware.initialization is None
    assert _again(kitchen, vm_id) == {}


def test_first_settings_are_no_containers(kitchen: Kitchen) -> None:
    kitchen.enable_containers()
    said = kitchen.add(custom_properties=CONTAINER, initialization={"host_name": "web"}, status=409)
    assert "it has no cloud-init; give it containerEnvironment" in str(said)
    kitchen.add_image("/data")
    vm_id = kitchen.add(custom_properties=CONTAINER)
    assert "it has no cloud-init" in kitchen.act(vm_id, "start", 409, use_cloud_init="true")


def test_a_start_that_fails_on_its_host_is_undone(kitchen: Kitchen) -> None:
    vm_id = kitchen.add_bootable()
    kitchen.host.fails = "the kitchen is closed"
    assert "Host oven could not start web: the kitchen is closed" in kitchen.act(vm_id, "start", 409)
    assert kitchen.host.guests == {}
    told = kitchen.api.get(f"vms/{vm_id}")
    assert told["status"] == "down"
    assert "the kitchen is closed" in told["stop_reason"]
    assert events(kitchen.store, 1)[0].code == 54
    kitchen.host.fails = ""
    kitchen.act(vm_id, "start")


def test_a_host_that_falls_silent_keeps_the_machine(quick: Kitchen) -> None:
    vm_id = quick.add_bootable()
    quick.hosts.answers["VM.create"] = HostUncertain(host="oven", verb="VM.create", reason="it is silent for 9 s")
    quick.hosts.answers["VM.destroy"] = HostUncertain(host="oven", verb="VM.destroy", reason="it is silent for 9 s")
    quick.act(vm_id, "start", 503)
    assert quick.status(vm_id) == "unknown"
    assert quick.vm(vm_id).facts.host_id == s.HOST_ID
    assert "unknown status" in quick.act(vm_id, "start", 409)
    assert "unknown status" in quick.api.delete(f"vms/{vm_id}", 409)


def test_an_unreachable_host_has_nothing(quick: Kitchen) -> None:
    """The image of a container is looked at before anything is begun."""
    quick.enable_containers()
    quick.add_image()
    by_id = [CONTAINER["custom_property"][0], {"name": "containerImage", "value": s.ISO_ID}]
    vm_id = quick.add(custom_properties={"custom_property": by_id})
    quick.hosts.answers["ContainerImage.inspect"] = HostUncertain(host="oven", verb="inspect", reason="silence")
    quick.act(vm_id, "start", 503)
    assert (quick.status(vm_id), quick.vm(vm_id).facts.host_id) == ("down", None)


def test_a_paused_machine_goes_on(quick: Kitchen) -> None:
    vm_id = quick.add_bootable()
    quick.act(vm_id, "start")
    quick.set_facts(vm_id, status=VmStatus.PAUSED)
    quick.act(vm_id, "start")
    assert len(quick.hosts.asked("VM.cont")) == 1
    assert len(quick.hosts.asked("VM.create")) == 1


def test_a_container(kitchen: Kitchen) -> None:
    assert "enable its additional feature containers" in kitchen.add(status=409, custom_properties=CONTAINER)
    kitchen.enable_containers()
    vm_id = kitchen.add(custom_properties=CONTAINER)
    assert kitchen.vm(vm_id).kind == "container"
    emptied: list[dict[str, Any]] = [{"custom_properties": {}}, {"custom_properties": {"custom_property": []}}]
    for changes in emptied:
        assert "is a container for good" in kitchen.api.put(f"vms/{vm_id}", changes, 409)
    machine = kitchen.add("machine")
    assert "is a virtual machine for good" in kitchen.api.put(f"vms/{machine}", {"custom_properties": CONTAINER}, 409)
    kitchen.act(vm_id, "start")
    custom = kitchen.xml(vm_id).find("metadata/{*}vm/{*}custom")
    assert custom is not None
    assert {etree.QName(each).localname: each.text for each in custom} == {
        "containerType": "docker",
        "containerImage": "web",
    }
    assert kitchen.api.get(f"vms/{vm_id}/graphicsconsoles") == {}
    offered = {link["rel"] for link in kitchen.api.get(f"vms/{vm_id}")["actions"]["link"]}
    assert offered == {"clone", "reboot", "reset", "shutdown", "start", "stop"}


def test_a_containers_runtime_is_one_that_hosts_have(quick: Kitchen) -> None:
    quick.enable_containers()
    kata = {"custom_property": [{"name": "containerType", "value": "kata"}]}
    assert "has the container runtime kata; there is: crun, runc" in quick.add("k", 409, custom_properties=kata)
    crun = {"custom_property": [{"name": "containerType", "value": "crun"}]}
    vm_id = quick.add("c", custom_properties=crun)
    assert "c has no container image" in quick.act(vm_id, "start", 409)
    quick.set_host(containers=False, containers_reason="virtocid does not answer")
    image = {"custom_property": [*crun["custom_property"], {"name": "containerImage", "value": "web"}]}
    quick.api.put(f"vms/{vm_id}", {"custom_properties": image})
    assert "it runs no containers: virtocid does not answer" in quick.act(vm_id, "start", 409)


@pytest.mark.parametrize("fields", [{"tpm_enabled": "true"}, {"os": {"kernel": "/x"}}, {"soundcard_enabled": "true"}])
def test_what_no_container_has(quick: Kitchen, fields: dict[str, Any]) -> None:
    quick.enable_containers()
    assert "It is a container: it has" in quick.add("c", 409, custom_properties=CONTAINER, **fields)


@pytest.mark.parametrize("known", [True, False])
def test_every_declared_volume_is_mapped_or_discarded(quick: Kitchen, *, known: bool) -> None:
    quick.enable_containers()
    quick.host.declared = [] if known else ["/data", "/var/cache"]
    quick.add_image(*(("/data", "/var/cache") if known else ()))
    image = {"name": "containerImage", "value": f"sha256:{'a' * 64}" if known else s.ISO_ID}
    container = [CONTAINER["custom_property"][0], image]
    disk_id = s.sample_id("disk data")
    with quick.store.write() as session:
        session.disks.add(
            Disk(
                id=disk_id,
                name="data",
                storage_domain_id=s.DOMAIN_ID,
                image_id=s.sample_id("i"),
                provisioned_size_bytes=GIB,
            )
        )
    vm_id = quick.add(custom_properties={"custom_property": container})
    with quick.store.write() as session:
        session.disk_attachments.add(DiskAttachment(disk_id=disk_id, vm_id=vm_id))
    reason = quick.act(vm_id, "start", 409)
    assert "declares volumes that no disk is mapped to: /data, /var/cache" in reason
    assert "/data:discard" in reason

    def mapped(text: str) -> None:
        properties = [*container, {"name": "volumeMap", "value": text}]
        quick.api.put(f"vms/{vm_id}", {"custom_properties": {"custom_property": properties}})

    mapped("data:vdb,/var/cache:discard")
    assert "names the disk vdb, which is not attached" in quick.act(vm_id, "start", 409)
    mapped("data:data,/var/cache:discard")
    quick.act(vm_id, "start")
    root = quick.xml(vm_id)
    texts = {etree.QName(each).localname: each.text for each in root.iterfind("metadata/{*}vm/{*}custom/*")}
    assert texts == {"containerType": "docker", "volumeMap": "data:vda", "containerDiscard": "/var/cache"}
    disc = root.find("metadata/{*}vm/{*}device[@name='sdc']/{*}imageID")
    assert disc is not None
    assert disc.text == s.ISO_ID


def test_who_names_an_image_has_a_right_to_it(quick: Kitchen) -> None:
    quick.enable_containers()
    quick.add_image("/data")
    give(quick.store, s.USER_ID, OPERATOR, ObjectType.CLUSTER, s.CLUSTER_ID)
    container = {"name": "mine", **BLANK, "custom_properties": CONTAINER}
    quick.user.post("vms", container, 403)
    mine = {"custom_property": [CONTAINER["custom_property"][0]]}
    vm_id = quick.user.post("vms", {**container, "custom_properties": mine})["id"]
    quick.user.put(f"vms/{vm_id}", {"custom_properties": CONTAINER}, 403)
    give(quick.store, s.USER_ID, "def0000a-0000-0000-0000-def00000000b", ObjectType.DISK, s.ISO_ID)
    quick.user.put(f"vms/{vm_id}", {"custom_properties": CONTAINER})


def test_interfaces(kitchen: Kitchen) -> None:
    vm_id = kitchen.add()
    nic_id = kitchen.add_nic(vm_id)
    path = f"vms/{vm_id}/nics"
    assert kitchen.api.get(f"{path}/{nic_id}/networkfilterparameters") == {}  # Ansible follows the link
    mac = kitchen.api.get(f"{path}/{nic_id}")["mac"]["address"]
    assert mac.startswith("56:6f:00:00:")
    taken = {"name": "nic2", "mac": {"address": mac.upper()}}
    assert "MAC Address is already in use" in kitchen.api.post(path, taken, 409)
    assert "name is already in use" in kitchen.api.post(path, {"name": "nic1"}, 409)
    assert "must be six pairs" in kitchen.api.post(path, {"name": "nic2", "mac": {"address": "x"}}, 400)
    kitchen.act(vm_id, "start")
    second = kitchen.add_nic(vm_id, name="nic2")
    assert len(kitchen.host.macs[vm_id]) == 2
    assert "it has no vNIC profile" in str(kitchen.api.post(path, {"name": "nic3", "plugged": "true"}, 400))
    assert "plugged to a running VM" in kitchen.api.delete(f"{path}/{second}", 409)
    changed = {"mac": {"address": "56:6f:00:00:77:77"}}
    assert "MAC address cannot be changed" in kitchen.api.put(f"{path}/{second}", changed, 409)
    kitchen.api.put(f"{path}/{second}", {"linked": "false"})
    assert kitchen.hosts.asked("VM.updateDevice")[-1]["params"]["linkActive"] is False  # type: ignore[call-overload,index]
    kitchen.api.post(f"{path}/{second}/deactivate", {}, 200)
    assert len(kitchen.host.macs[vm_id]) == 1
    kitchen.api.put(f"{path}/{second}", changed)
    kitchen.api.post(f"{path}/{second}/activate", {}, 200)
    assert "56:6f:00:00:77:77" in kitchen.host.macs[vm_id]
    kitchen.api.post(f"{path}/{second}/deactivate", {}, 200)
    kitchen.api.delete(f"{path}/{second}")
    assert [nic["name"] for nic in kitchen.api.get(path)["nic"]] == ["nic1"]
    assert {event.code for event in events(kitchen.store, 20)} >= {932, 934, 930, 1012, 1014}


def test_a_disc(quick: Kitchen) -> None:
    vm_id = quick.add_bootable()
    (drive,) = quick.api.get(f"vms/{vm_id}/cdroms")["cdrom"]
    path = f"vms/{vm_id}/cdroms/{drive['id']}"
    assert "a virtual machine's is an ISO image" in quick.api.put(path, {"file": {"id": s.DISK_ID}}, 400)
    assert quick.api.put(path, {"file": {"id": s.ISO_ID}})["file"]["id"] == s.ISO_ID
    quick.act(vm_id, "start")
    source = quick.xml(vm_id).find("devices/disk[@device='cdrom']/source")
    assert source is not None
    assert f"/images/{s.ISO_ID}/" in source.get("file", "")
    assert quick.api.get(f"{path}?current=true")["file"]["id"] == s.ISO_ID
    quick.api.put(f"{path}?current=true", {"file": {"id": ""}})
    assert quick.hosts.asked("VM.changeCD") == [{"vmID": vm_id, "driveSpec": {"iface": "sata", "index": 2}}]
    assert quick.api.get(path)["file"]["id"] == s.ISO_ID
    assert "file" not in quick.api.get(f"{path}?current=true")


def test_a_ticket(quick: Kitchen) -> None:
    vm_id = quick.add_bootable()
    assert "VM is not running" in quick.act(vm_id, "ticket", 409)
    quick.act(vm_id, "start")
    assert "has no display now" in quick.act(vm_id, "ticket", 409)
    quick.set_facts(vm_id, graphics=(GraphicsFacts(protocol="vnc", address="192.0.2.1", port=5901),))
    ticket = quick.act(vm_id, "ticket", ticket={"value": "secret12", "expiry": "120"})["ticket"]
    assert ticket == {"value": "secret12", "expiry": "120"}
    (console,) = quick.api.get(f"vms/{vm_id}/graphicsconsoles")["graphics_console"]
    made = quick.api.post(f"vms/{vm_id}/graphicsconsoles/{console['id']}/ticket", {}, 200)["ticket"]
    assert (len(made["value"]), made["expiry"]) == (8, "7200")
    asked = quick.hosts.asked("VM.setTicket")
    assert [each["password"] for each in asked] == ["secret12", made["value"]]
    with quick.store.read() as session:
        assert not any(made["value"] in event.description for event in session.events.list())


def test_a_machine_of_which_nothing_is_known_is_left_alone(quick: Kitchen) -> None:
    vm_id = quick.add_bootable()
    with quick.store.write() as session:
        session.vms.update_facts(vm_id, VmFacts(status=VmStatus.UNKNOWN, host_id=s.HOST_ID))
    assert "because the VM is in unknown status" in quick.act(vm_id, "start", 409)


def test_a_disk_that_stays(quick: Kitchen) -> None:
    vm_id = quick.add()
    with quick.store.write() as session:
        session.disk_attachments.add(DiskAttachment(disk_id=s.ISO_ID, vm_id=vm_id))
    assert "No host manages Storage Domain" in quick.api.delete(f"vms/{vm_id}", 409)
    quick.api.delete(f"vms/{vm_id}?detach_only=true")
    with quick.store.read() as session:
        assert session.disks.get(s.ISO_ID).name == "recipe.iso"


@pytest.mark.parametrize("kind", list(VmKind))
def test_the_table_of_actions_is_true(quick: Kitchen, kind: VmKind) -> None:
    """docs/engine-vm-actions.md, each line on a running machine."""
    quick.enable_containers()
    state = ActingState(quick.host)
    state.manage(quick.store)
    fields: dict[str, Any] = {"custom_properties": CONTAINER} if kind is VmKind.CONTAINER else {}
    vm_id = quick.add_bootable(**fields)
    quick.act(vm_id, "start")
    console = (GraphicsFacts(protocol="vnc", address="192.0.2.1", port=5901),)
    offered = {link["rel"] for link in quick.api.get(f"vms/{vm_id}")["actions"]["link"]}
    (active,) = quick.api.get(f"vms/{vm_id}/snapshots")["snapshot"]
    down: dict[str, dict[str, Any]] = {
        "clone": {"vm": {"name": "twin"}},
        "commitsnapshot": {},
        "previewsnapshot": {"snapshot": {"id": active["id"]}},
        "undosnapshot": {},
    }
    for action, reason in sorted(ACTIONS[kind].items(), key=lambda pair: pair[0] == "stop"):
        quick.set_facts(vm_id, status=VmStatus.PAUSED if action == "start" else VmStatus.UP, graphics=console)
        assert (action in offered) is not bool(reason)
        if reason:
            assert reason in quick.act(vm_id, action, 409)
        elif action in down:
            assert "VM is running" in quick.act(vm_id, action, 409, **down[action])
        else:
            quick.act(vm_id, action)
        if action == "suspend" and not reason:
            quick.act(vm_id, "start")
    assert quick.host.guests == {}
    told = quick.act(vm_id, "clone", vm={"name": "twin"})
    twin, vm = quick.vm(told["vm"]["id"]), quick.vm(vm_id)
    assert (twin.name, twin.kind, twin.hardware, twin.image_locked) == ("twin", kind, vm.hardware, False)
    (nic,), (other,) = (quick.api.get(f"vms/{each}/nics")["nic"] for each in (vm_id, twin.id))
    assert (nic["name"], nic["vnic_profile"]) == (other["name"], other["vnic_profile"])
    assert nic["mac"] != other["mac"]
