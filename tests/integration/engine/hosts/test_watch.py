# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host's way through its states, and what is known of it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from covirt.common.errors import Unavailable
from covirt.engine.hosts.config import HostsConfig
from covirt.engine.hosts.errors import HostRefused, HostRemoved, HostUncertain, HostUnreachable
from covirt.engine.hosts.manager import HostManager
from covirt.engine.model.cluster import Architecture, ClusterFeature
from covirt.engine.model.host import HostStatus
from covirt.engine.store.query import ListQuery
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Answer, Request
from tests.integration.engine.hosts.conftest import Installation
from tests.support.engine_objects import new_id
from tests.support.host_answers import capabilities
from tests.support.simulated_hosts import SimulatedHost
from tests.support.waiting import wait_until


class StorageAway(Unavailable):
    template = "storage is away"


def test_a_host_that_answers_is_up_and_known(manager: HostManager, installation: Installation) -> None:
    facts = installation.facts()
    assert facts.cpu_sockets == 2
    assert facts.container_runtimes == ("crun", "runc")
    assert facts.memory_free_bytes == 20480 << 20
    assert facts.max_scheduling_memory_bytes == (24105 - 321) << 20
    assert facts.seen_at is not None
    with installation.store.read() as session:
        [nic] = session.host_nics.list(ListQuery(where={"host_id": installation.host.id}))
    assert (nic.name, nic.address) == ("eth0", "192.0.2.11")
    with installation.store.read() as session:
        assert session.clusters.get(installation.cluster.id).cpu_architecture is Architecture.X86_64
    assert manager.is_up(installation.host.id)
    assert [event.description for event in installation.events(13)] == ["Status of host oven was set to Up."]


def test_calls(manager: HostManager, installation: Installation, simulated: SimulatedHost) -> None:
    host_id = installation.host.id
    answer = manager.call(host_id, "Host.getStats", flow_id="flow-7")
    assert isinstance(answer, dict)
    assert "flow-7" in simulated.flows
    with pytest.raises(HostRefused, match=r"Host oven has refused VM\.create: no method VM\.create") as refused:
        manager.call(host_id, "VM.create")
    assert refused.value.code == Code.NO_SUCH_METHOD
    simulated.held.clear()
    with pytest.raises(HostUncertain):
        manager.call(host_id, "Host.getStats", timeout_seconds=0.2)
    simulated.held.set()
    with pytest.raises(HostRemoved, match="it was removed"):
        manager.call(new_id(), "Host.getStats")
    resting = installation.add_host("stove", 0, HostStatus.MAINTENANCE)
    with pytest.raises(HostUnreachable, match="it is not active"):
        manager.call(resting.id, "Host.getStats")


def test_a_lost_host_is_connecting_then_non_responsive_then_up_again(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    simulated.stop()
    facts = installation.wait_status(HostStatus.NON_RESPONSIVE)
    assert facts.status_detail
    assert installation.events(9008)
    assert "Host oven is non responsive" in installation.events(12)[0].description
    assert not manager.is_up(installation.host.id)
    with pytest.raises(HostUnreachable):
        manager.call(installation.host.id, "Host.getStats")
    simulated.start()
    assert not installation.wait_status(HostStatus.UP).status_detail
    assert len(installation.events(12)) == 1


def test_a_host_that_hangs_is_non_responsive(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    """Its connection is there, and its heart beats."""
    simulated.refusals["Host.getStats"] = (99, "Recovering from crash or Initializing")
    assert "Recovering" in installation.wait_status(HostStatus.NON_RESPONSIVE).status_detail
    simulated.refusals.clear()
    installation.wait_status(HostStatus.UP)


def test_a_host_whose_agent_has_just_started_is_asked_again_soon(
    manage: Callable[..., HostManager], installation: Installation, simulated: SimulatedHost
) -> None:
    simulated.refusals["Host.getCapabilities"] = (Code.RECOVERING, "Recovering from crash or Initializing")
    manage(HostsConfig(poll_seconds=300, grace_seconds=300))
    wait_until(lambda: len(simulated.asked("Host.getCapabilities")) >= 2, what="a second question")
    simulated.refusals.clear()
    installation.wait_status(HostStatus.UP)


def test_a_host_in_maintenance_is_left_alone(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    installation.set_status(HostStatus.MAINTENANCE)
    manager.look()

    def unwatched() -> bool:
        try:
            manager.call(installation.host.id, "Host.getStats")
        except Unavailable as error:  # in the middle of its end it may be uncertain
            return "it is not active" in str(error)
        return False

    wait_until(unwatched, what="the end of the watch")
    assert installation.facts().status is HostStatus.MAINTENANCE
    installation.set_status(HostStatus.UNASSIGNED)
    manager.look()
    installation.wait_status(HostStatus.UP)


def test_one_that_prepares_for_maintenance_stays_so(manager: HostManager, installation: Installation) -> None:
    installation.set_status(HostStatus.PREPARING_FOR_MAINTENANCE)
    manager.refresh(installation.host.id)
    assert installation.facts().status is HostStatus.PREPARING_FOR_MAINTENANCE


def test_one_that_is_not_enrolled_may_take_its_time(
    manage: Callable[..., HostManager], installation: Installation, simulated: SimulatedHost
) -> None:
    simulated.stop()
    installation.set_status(HostStatus.INSTALLING)
    manage()
    wait_until(lambda: "refused" in installation.facts().status_detail.lower(), what="the reason")
    assert installation.facts().status is HostStatus.INSTALLING
    simulated.start()
    installation.wait_status(HostStatus.UP)


def test_a_host_that_does_not_fit_its_cluster(
    manage: Callable[..., HostManager], installation: Installation, simulated: SimulatedHost
) -> None:
    feature = ClusterFeature(id=new_id(), name="containers", level="4.8")
    with installation.store.write() as session:
        session.cluster_features.add(feature)
    installation.set_cluster(features=frozenset({feature.id}))
    simulated.capabilities["additionalFeatures"] = []
    simulated.capabilities["containersReason"] = "no container runtime works"
    manager = manage()
    facts = installation.wait_status(HostStatus.NON_OPERATIONAL)
    assert facts.status_detail.endswith("no container runtime works.")
    manager.refresh(installation.host.id)
    manager.refresh(installation.host.id)
    [event] = installation.events(517)
    assert "demands the feature containers" in event.description
    simulated.capabilities["additionalFeatures"] = ["CONTAINERS"]
    manager.refresh(installation.host.id)
    assert installation.facts().status is HostStatus.UP


def test_a_host_that_does_not_fit_when_it_comes_back_is_looked_at_again_soon(
    manage: Callable[..., HostManager], installation: Installation, simulated: SimulatedHost
) -> None:
    """Its agent may have been faster than its libvirt daemons."""
    feature = ClusterFeature(id=new_id(), name="containers", level="4.8")
    with installation.store.write() as session:
        session.cluster_features.add(feature)
    installation.set_cluster(features=frozenset({feature.id}))
    simulated.capabilities["additionalFeatures"] = []
    manage(HostsConfig(poll_seconds=300, capabilities_seconds=300, grace_seconds=300))
    installation.wait_status(HostStatus.NON_OPERATIONAL)
    simulated.capabilities["additionalFeatures"] = ["CONTAINERS"]
    installation.wait_status(HostStatus.UP)


def test_a_host_is_prepared_after_each_connection(
    manage: Callable[..., HostManager], installation: Installation, simulated: SimulatedHost
) -> None:
    prepared: list[str] = []
    broken = threading.Event()

    def prepare(host_id: str) -> None:
        if broken.is_set():
            raise StorageAway
        prepared.append(host_id)

    manager = manage(preparation=prepare)
    installation.wait_status(HostStatus.UP)
    manager.refresh(installation.host.id)
    assert prepared == [installation.host.id]
    broken.set()
    simulated.stop()
    simulated.start()
    assert installation.wait_status(HostStatus.NON_OPERATIONAL).status_detail == "storage is away"
    broken.clear()
    installation.wait_status(HostStatus.UP)
    assert len(prepared) == 2


def test_listeners_hear_of_everything(
    manage: Callable[..., HostManager], installation: Installation, simulated: SimulatedHost
) -> None:
    heard: list[tuple[str, str]] = []
    manager = manage()
    manager.add_listener(lambda host_id, topic, _params: heard.append((host_id, topic)))
    installation.wait_status(HostStatus.UP)
    simulated.event("|jobs|status|7", {"7": {"status": "done"}})
    wait_until(lambda: (installation.host.id, "|jobs|status|7") in heard, what="the event")


def test_a_removed_host_and_a_moved_one(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    nowhere = installation.add_host("stove", 9)
    manager.look()
    installation.wait_status(HostStatus.NON_RESPONSIVE, nowhere)
    with installation.store.write() as session:
        session.hosts.remove(nowhere.id)
    manager.look()
    with pytest.raises(HostUnreachable):
        manager.call(nowhere.id, "Host.getStats")


def test_a_poll_under_way_is_no_refresh(
    manage: Callable[..., HostManager],
    installation: Installation,
    simulated: SimulatedHost,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it was told was so before somebody asked for what is so now."""
    manager = manage(HostsConfig(poll_seconds=3600, capabilities_seconds=3600))
    installation.wait_status(HostStatus.UP)
    asked, go_on, answer = threading.Event(), threading.Event(), simulated.answer

    def answering(request: Request, **named: Any) -> Answer:
        if request.method == "Host.getStats" and not asked.is_set():
            asked.set()
            assert go_on.wait(30)
        return answer(request, **named)

    monkeypatch.setattr(simulated, "answer", answering)
    both = [threading.Thread(target=manager.refresh, args=(installation.host.id,)) for _ in range(2)]
    both[0].start()
    assert asked.wait(30)
    simulated.capabilities = capabilities(memSize="1024")
    both[1].start()
    threading.Timer(0.2, go_on.set).start()  # while the second one waits
    both[1].join(30)
    assert installation.facts().memory_bytes == 1 << 30
    both[0].join(30)


def test_refreshing_waits_for_what_is_written(
    manage: Callable[..., HostManager], installation: Installation, simulated: SimulatedHost
) -> None:
    manager = manage(HostsConfig(poll_seconds=3600, capabilities_seconds=3600))
    installation.wait_status(HostStatus.UP)
    simulated.capabilities["memSize"] = "1024"
    manager.refresh(installation.host.id)
    assert installation.facts().memory_bytes == 1 << 30
    simulated.refusals["Host.getCapabilities"] = (16, "it burns")
    with pytest.raises(HostRefused, match="it burns"):
        manager.refresh(installation.host.id)
