# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One engine and three whole hosts on a network, by the stock SDK: a choice, a rest, a cut, a power cut, and an
engine that is killed in the middle of ten operations. Nothing runs twice; the hosts themselves are asked."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Final

import ovirtsdk4 as sdk
import pytest
from ovirtsdk4 import types

from covirt.common.root import Root
from tests.support.covirt_engine import CovirtEngine, serve_covirt_engine
from tests.support.enrolled_host import WATCHFUL, engine_files, enrol, new_token, wait_host
from tests.support.host_world import HostWorld
from tests.support.network import new_linux_bridge
from tests.support.roots import new_directory, new_root
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

NAMES: Final = ("oven", "stove", "grill")
UP, DOWN, UNKNOWN = types.VmStatus.UP, types.VmStatus.DOWN, types.VmStatus.UNKNOWN
_SECONDS: Final = 90.0
_MEMORY: Final = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Kitchen:
    """The engine and its hosts, by their names."""

    engine: CovirtEngine
    worlds: dict[str, HostWorld]
    connection: sdk.Connection

    @property
    def system(self) -> Any:
        return self.connection.system_service()

    def vm(self, name: str) -> Any:
        """The service of a container that is there from now on."""
        vms = self.system.vms_service()
        for found in vms.list(search=f"name={name}"):
            return vms.vm_service(found.id)
        properties = {"containerType": "docker", "containerImage": "busybox", "containerCommand": "sleep 1000"}
        vm = types.Vm(
            name=name,
            cluster=types.Cluster(name="Default"),
            template=types.Template(name="Blank"),
            memory=_MEMORY,
            memory_policy=types.MemoryPolicy(guaranteed=_MEMORY),
            custom_properties=[types.CustomProperty(name=key, value=value) for key, value in properties.items()],
        )
        return vms.vm_service(vms.add(vm).id)

    def host(self, name: str) -> Any:
        hosts = self.system.hosts_service()
        return hosts.host_service(hosts.list(search=f"name={name}")[0].id)

    def start(self, name: str) -> str:
        """The name of the host that it runs on."""
        service = self.vm(name)
        service.start()
        self.wait(name, UP)
        return str(self.connection.follow_link(service.get().host).name)

    def wait(self, name: str, status: types.VmStatus) -> None:
        service = self.vm(name)
        wait_until(lambda: service.get().status is status, timeout_seconds=_SECONDS, what=f"{name} to be {status}")

    def on_hosts(self, *names: str) -> Counter[str]:
        """How many hosts say that a guest of this name runs on them."""
        running: Counter[str] = Counter()
        for name in names or NAMES:
            client = self.worlds[name].client()
            try:
                running.update(vm["vmName"] for vm in client.call("Host.getAllVmStats") if vm["status"] != "Down")
            finally:
                client.close()
        return running

    def clear(self) -> None:
        """All guests stop and are gone."""
        vms = self.system.vms_service()
        for found in vms.list():
            service = vms.vm_service(found.id)
            with suppress(sdk.Error):
                service.stop()
            wait_until(lambda service=service: service.get().status is DOWN, timeout_seconds=_SECONDS, what="an end")  # type: ignore[misc]
            service.remove()


@pytest.fixture(name="kitchen")
def kitchen_fixture() -> Iterator[Kitchen]:
    with ExitStack() as stack:
        directory = stack.enter_context(new_directory())
        directory.chmod(0o711)
        bridge = stack.enter_context(new_linux_bridge())
        engine = stack.enter_context(serve_covirt_engine(stack.enter_context(new_root()), extra=WATCHFUL))
        files = engine_files(engine, directory / "client")
        worlds = {}
        for number, name in enumerate(NAMES, 11):
            kept = directory / name
            (kept / "host").mkdir(parents=True)
            kept.chmod(0o711)
            address = bridge.guest_address(number)
            token = new_token(engine, name=name, address=address)
            enrolled = enrol(engine, Root(kept / "host"), token, address)
            assert enrolled.status == 0, enrolled.stderr
            world = HostWorld(name=name, address=address, kept=kept, pki=files, bridge=bridge)
            stack.callback(world.stop)
            world.start()
            worlds[name] = world
        for name, world in worlds.items():
            world.ready()
            wait_host(engine, "up", name)
        connection = stack.enter_context(engine.connection())
        kitchen = Kitchen(engine=engine, worlds=worlds, connection=connection)
        _enable_containers(kitchen)
        yield kitchen


def _enable_containers(kitchen: Kitchen) -> None:
    for world in kitchen.worlds.values():
        client = world.client()
        wait_until(lambda client=client: bool(client.call("Host.getCapabilities")["containers"]), timeout_seconds=60)  # type: ignore[misc]
        client.close()
    clusters = kitchen.system.clusters_service()
    (cluster,) = clusters.list()
    levels = kitchen.system.cluster_levels_service()
    (feature,) = levels.level_service("4.8").cluster_features_service().list()[:1]
    clusters.cluster_service(cluster.id).enabled_features_service().add(types.ClusterFeature(id=feature.id))
    for name in NAMES:
        kitchen.host(name).refresh()
        wait_host(kitchen.engine, "up", name)


def test_three_hosts(kitchen: Kitchen) -> None:
    """One after the other: a host that is begun again within a test is that test's."""
    _guests_are_spread_and_a_host_that_rests_gets_none(kitchen)
    _a_host_that_is_cut_off(kitchen)
    _a_host_without_power(kitchen)
    _the_engine_is_killed_in_the_middle_of_ten_operations(kitchen)


def _guests_are_spread_and_a_host_that_rests_gets_none(kitchen: Kitchen) -> None:
    """The fourth of a group whose machines must not meet has no place, and is told of each host why."""
    (cluster,) = kitchen.system.clusters_service().list()
    groups = kitchen.system.clusters_service().cluster_service(cluster.id).affinity_groups_service()
    apart = types.AffinityRule(enabled=True, enforcing=True, positive=False)
    group = groups.add(types.AffinityGroup(name="apart", vms_rule=apart))
    members = groups.group_service(group.id).vms_service()
    for name in ("soup", "bread", "salad", "cake"):
        members.add(types.Vm(id=kitchen.vm(name).get().id))
    places = [kitchen.start(name) for name in ("soup", "bread", "salad")]
    assert sorted(places) == sorted(NAMES)
    with pytest.raises(sdk.Error, match="no host that satisfies") as refused:
        kitchen.vm("cake").start()
    assert all(f"The host {name} did not satisfy" in str(refused.value) for name in NAMES)

    oven = kitchen.host(places[0])
    with pytest.raises(sdk.Error, match="soup"):
        oven.deactivate()
    kitchen.vm("soup").stop()
    kitchen.wait("soup", DOWN)
    oven.deactivate()
    wait_host(kitchen.engine, "maintenance", places[0])
    with pytest.raises(sdk.Error, match="no host that satisfies"):
        kitchen.vm("soup").start()
    oven.activate()
    wait_host(kitchen.engine, "up", places[0])
    assert kitchen.start("soup") == places[0]
    assert kitchen.on_hosts() == {"soup": 1, "bread": 1, "salad": 1}
    groups.group_service(group.id).remove()
    kitchen.clear()


def _a_host_that_is_cut_off(kitchen: Kitchen) -> None:
    """Its guest goes on, is unknown meanwhile, and is not started anywhere else."""
    place = kitchen.start("soup")
    began = kitchen.vm("soup").get().start_time
    world = kitchen.worlds[place]
    world.cut_off(cut=True)
    wait_host(kitchen.engine, "non_responsive", place)
    kitchen.wait("soup", UNKNOWN)
    with pytest.raises(sdk.Error, match="Cannot run VM") as refused:
        kitchen.vm("soup").start()
    assert refused.value.code == 409
    assert kitchen.start("bread") != place
    others = [name for name in NAMES if name != place]
    assert kitchen.on_hosts(*others) == {"bread": 1}
    world.cut_off(cut=False)
    wait_host(kitchen.engine, "up", place)
    kitchen.wait("soup", UP)
    assert abs((kitchen.vm("soup").get().start_time - began).total_seconds()) <= 5
    assert kitchen.on_hosts() == {"soup": 1, "bread": 1}
    kitchen.clear()


def _a_host_without_power(kitchen: Kitchen) -> None:
    """When somebody has said so, its guest is started elsewhere; what comes back does not bring it back."""
    place = kitchen.start("soup")
    world = kitchen.worlds[place]
    world.kill()
    wait_host(kitchen.engine, "non_responsive", place)
    kitchen.wait("soup", UNKNOWN)
    kitchen.host(place).fence(fence_type="manual")
    kitchen.wait("soup", DOWN)
    assert kitchen.start("soup") != place
    world.start()
    world.ready()
    wait_host(kitchen.engine, "up", place)
    kitchen.wait("soup", UP)
    assert kitchen.on_hosts() == {"soup": 1}
    kitchen.clear()


def _the_engine_is_killed_in_the_middle_of_ten_operations(kitchen: Kitchen) -> None:
    """Each start is ended or undone after its restart, and no machine stays locked or runs twice."""
    names = [f"dish{number}" for number in range(10)]
    ids = {name: kitchen.vm(name).get().id for name in names}

    def start(name: str) -> None:
        with suppress(sdk.Error), kitchen.engine.connection() as connection:
            connection.system_service().vms_service().vm_service(ids[name]).start()

    with ThreadPoolExecutor(len(names)) as pool:
        for name in names:
            pool.submit(start, name)
        wait_until(lambda: sum(kitchen.on_hosts().values()) >= 2, timeout_seconds=_SECONDS, what="some to be started")
        kitchen.engine.kill()
    kitchen.engine.start()
    with kitchen.engine.store() as store:

        def running() -> list[str]:
            with store.read() as session:
                return list(session.commands.running())

        wait_until(lambda: not running(), timeout_seconds=_SECONDS, what="the operations to end")
        with store.read() as session:
            session.commands.check_unlocked(list(ids.values()))
    with kitchen.engine.connection() as connection:
        again = Kitchen(engine=kitchen.engine, worlds=kitchen.worlds, connection=connection)
        for name in names:
            service = again.vm(name)
            wait_until(lambda service=service: service.get().status in (UP, DOWN), timeout_seconds=_SECONDS)  # type: ignore[misc]
        up = {name for name in names if again.vm(name).get().status is UP}
        assert len(up) >= 2
        assert again.on_hosts() == dict.fromkeys(up, 1)
        again.clear()
        assert again.on_hosts() == {}
