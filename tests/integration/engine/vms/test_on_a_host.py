# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A virtual machine and a container side by side on a real host, by the stock SDK; checked on the host as well."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ovirtsdk4 as sdk
import pytest
from ovirtsdk4 import types

from tests.support.discs import read_disc
from tests.support.engine_on_host import EngineOnHost, serve_engine_on_host
from tests.support.guest import TinyGuest
from tests.support.libvirtd import Libvirtd
from tests.support.virtocid import IMAGE, Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

UP = types.VmStatus.UP
DOWN = types.VmStatus.DOWN
MIB = 1 << 20
LISTENING = r'["sh", "-c", "trap exit TERM\u003b sleep 1000 & wait"]'  # to its stop signal


@pytest.fixture
def engine(libvirtd: Libvirtd, virtocid: Virtocid, tmp_path: Path) -> Iterator[EngineOnHost]:
    with serve_engine_on_host(tmp_path, libvirtd, virtocid) as made:
        yield made


def add(engine: EngineOnHost, name: str, memory: int, **fields: Any) -> Any:
    """With an interface in the host's network."""
    vm = types.Vm(
        name=name,
        cluster=types.Cluster(name="Default"),
        template=types.Template(name="Blank"),
        memory=memory,
        memory_policy=types.MemoryPolicy(guaranteed=memory),
        **fields,
    )
    added = engine.vms.add(vm)
    (profile,) = engine.system.vnic_profiles_service().list()
    nics = engine.vms.vm_service(added.id).nics_service()
    nics.add(types.Nic(name="nic1", vnic_profile=types.VnicProfile(id=profile.id)))
    return added


def machine(guest: TinyGuest) -> types.OperatingSystem:
    return types.OperatingSystem(
        kernel=str(guest.kernel), initrd=str(guest.initramfs), cmdline="console=ttyS0 quiet panic=-1 guest.name=web"
    )


def container(command: str, **more: str) -> list[types.CustomProperty]:
    values = {"containerType": "docker", "containerImage": IMAGE, "containerCommand": command, **more}
    return [types.CustomProperty(name=name, value=value) for name, value in values.items()]


def test_a_machine_and_a_container_side_by_side(engine: EngineOnHost, tiny_guest: TinyGuest) -> None:
    web = add(engine, "web", 96 * MIB, os=machine(tiny_guest))
    shop = add(engine, "shop", 64 * MIB, custom_properties=container(LISTENING))
    services = {each.name: engine.vms.vm_service(each.id) for each in (web, shop)}
    for service in services.values():
        service.start()
    engine.wait_status(shop.id, UP)
    engine.wait_status(web.id, UP, types.VmStatus.POWERING_UP)
    assert set(engine.on_host()) == {"web", "shop"}
    found = engine.vms.list(search="host = one and status != down")
    assert sorted(vm.name for vm in found) == ["shop", "web"]

    with pytest.raises(sdk.Error, match=r"Cannot migrate VM\. shop is a container") as refused:
        services["shop"].migrate(host=types.Host(name="one"))
    assert refused.value.code == 409
    with pytest.raises(sdk.Error, match="VM is running"):
        services["shop"].start()

    wait_until(lambda: bool(services["web"].graphics_consoles_service().list(current=True)), what="a display")
    ticket = services["web"].ticket(ticket=types.Ticket(value="secret12", expiry=60))
    assert (ticket.value, ticket.expiry) == ("secret12", 60)

    nics = services["shop"].nics_service()
    (profile,) = engine.system.vnic_profiles_service().list()
    second = nics.add(types.Nic(name="nic2", vnic_profile=types.VnicProfile(id=profile.id)))
    wait_until(lambda: second.mac.address in engine.macs_on_host(shop.id), what="the interface on the host")
    nics.nic_service(second.id).deactivate()
    nics.nic_service(second.id).remove()

    services["shop"].reboot()
    engine.wait_status(shop.id, UP)
    services["web"].stop(reason="supper")
    assert services["web"].get().status == DOWN
    services["shop"].shutdown()
    assert engine.wait_status(shop.id, DOWN).stop_reason
    assert engine.on_host() == {shop.id: "Down"}, "for its log"
    for service in services.values():
        service.remove()
    assert engine.vms.list() == []
    assert engine.on_host() == {}


def test_first_settings_reach_the_guests_disc_and_nothing_else(
    engine: EngineOnHost, tiny_guest: TinyGuest, libvirtd: Libvirtd, tmp_path: Path
) -> None:
    """As Ansible's ovirt_vm starts a machine with cloud_init."""
    secret = "-".join(("correct", "horse"))
    web = add(engine, "web", 96 * MIB, os=machine(tiny_guest))
    service = engine.vms.vm_service(web.id)
    nic = types.NicConfiguration(name="eth0", on_boot=True, boot_protocol=types.BootProtocol.DHCP)
    once = types.Initialization(
        host_name="web.example.com", user_name="cook", root_password=secret, nic_configurations=[nic]
    )
    service.start(use_cloud_init=True, vm=types.Vm(initialization=once))
    engine.wait_status(web.id, UP, types.VmStatus.POWERING_UP)
    drives = libvirtd.virsh("domblklist", "web").stdout.decode().split()
    (path,) = [Path(word) for word in drives if word.endswith(".iso")]
    files = read_disc(str(path), way="rr_path")
    assert json.loads(files["openstack/latest/meta_data.json"])["hostname"] == "web.example.com"
    (network,) = json.loads(files["openstack/latest/network_data.json"])["networks"]
    assert network["type"] == "ipv4_dhcp"
    assert secret.encode() in files["openstack/latest/user_data"]
    for database in tmp_path.rglob("engine.db*"):
        assert secret.encode() not in database.read_bytes(), database.name
    assert secret not in libvirtd.virsh("dumpxml", "web").stdout.decode()
    service.stop()
    assert not path.exists()
    service.start()
    engine.wait_status(web.id, UP, types.VmStatus.POWERING_UP)
    assert ".iso" not in libvirtd.virsh("domblklist", "web").stdout.decode()
    service.stop()


def test_what_a_host_cannot_start_is_told_and_undone(engine: EngineOnHost) -> None:
    shop = add(engine, "shop", 64 * MIB, custom_properties=container("sleep 1000", containerImage="no-such-image"))
    service = engine.vms.vm_service(shop.id)
    with pytest.raises(sdk.Error, match="no-such-image"):
        service.start()
    assert service.get().status == DOWN
    assert engine.on_host() == {}
    engine.vms.vm_service(shop.id).update(types.Vm(custom_properties=container("sh -c 'exit 3'")))
    service.start()
    ended = engine.wait_status(shop.id, DOWN)
    assert "3" in ended.stop_reason
