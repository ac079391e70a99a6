# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Any connection: what states a domain goes through, what its id is meanwhile, and what is refused in which state."""

from collections.abc import Callable

import libvirt
import pytest

from tests.support.connections import PREFIX, SECONDS, Ability, Client, Listener, lifecycle, refused
from tests.support.waiting import wait_until

BOOTED = [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED]
UNPAUSED = [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED]
PAUSED = [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER]
SHUT_DOWN = [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN]
DESTROYED = [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED]


def state(domain: "libvirt.virDomain") -> list[int]:
    """State and reason; everything that tells the state must agree."""
    answer: list[int] = domain.state()
    assert domain.info()[0] == answer[0]
    # A client's object keeps the id that it was made with.
    number = domain.connect().lookupByUUID(domain.UUID()).ID()
    assert bool(domain.isActive()) == (answer[0] != libvirt.VIR_DOMAIN_SHUTOFF) == (number != -1)
    return answer


def test_from_start_to_destroy(client: Client) -> None:
    domain = client.define("one")
    domain.create()
    assert state(domain) == BOOTED
    domain.suspend()
    assert state(domain) == PAUSED
    domain.resume()
    assert state(domain) == UNPAUSED
    domain.destroy()
    assert state(domain) == DESTROYED
    domain.create()
    assert state(domain) == BOOTED


def test_shutdown_asks_the_domain_to_end(client: Client, listen: Callable[..., Listener]) -> None:
    domain = client.run("one")
    client.implementation.wait_until_ready(f"{PREFIX}one")
    listener = listen()
    domain.shutdown()
    wait_until(lambda: not domain.isActive(), timeout_seconds=SECONDS, what="the end")
    assert state(domain) == SHUT_DOWN
    asked = lifecycle("one", libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST)
    ended = lifecycle("one", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
    listener.expect(*([ended] if Ability.SHUTDOWN_EVENT in client.implementation.lacks else [asked, ended]))


def test_a_suspended_domain_can_be_destroyed(client: Client) -> None:
    domain = client.run("one")
    domain.suspend()
    domain.destroy()
    assert state(domain) == DESTROYED


def test_graceful_destroy(client: Client) -> None:
    domain = client.run("one")
    if not client.implementation.ends_by_signal_at_once:
        client.implementation.wait_until_ready(f"{PREFIX}one")
    domain.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)
    assert state(domain) == DESTROYED


def test_reset_leaves_it_running_as_the_same_domain(client: Client) -> None:
    domain = client.run("one")
    number = domain.ID()
    domain.reset()
    assert state(domain)[0] == libvirt.VIR_DOMAIN_RUNNING
    assert client.connection.lookupByName(f"{PREFIX}one").ID() == number


def test_started_paused_it_waits_for_resume(client: Client) -> None:
    client.require(Ability.START_PAUSED)
    domain = client.define("one")
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    assert state(domain) == PAUSED
    domain.resume()
    assert state(domain) == UNPAUSED
    transient = client.create("two", flags=libvirt.VIR_DOMAIN_START_PAUSED)
    assert state(transient) == PAUSED
    transient.destroy()
    assert client.names() == ["one"]


def test_an_id_belongs_to_one_run(client: Client) -> None:
    first, second = client.run("one"), client.run("two")
    seen = {first.ID(), second.ID()}
    assert len(seen) == 2
    assert min(seen) > 0
    assert client.connection.lookupByID(first.ID()).name() == first.name()
    old = first.ID()
    first.destroy()
    assert first.ID() == -1
    with refused(libvirt.VIR_ERR_NO_DOMAIN):
        client.connection.lookupByID(old)
    first.create()
    assert first.ID() > 0
    assert first.ID() not in seen


def test_what_needs_a_running_domain_is_refused_without(client: Client) -> None:
    domain = client.define("one")
    attempts: list[Callable[[], object]] = [
        domain.destroy, domain.shutdown, domain.suspend, domain.resume, domain.reboot, domain.reset,
        domain.controlInfo, domain.memoryStats, domain.vcpus, lambda: domain.getCPUStats(True),
    ]  # fmt: skip
    for attempt in attempts:
        with refused(*client.implementation.wrong_state):
            attempt()
    assert state(domain) == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN]


def test_what_needs_another_state_is_refused(client: Client) -> None:
    domain = client.run("one")
    for attempt in (domain.create, domain.resume):
        with refused(*client.implementation.wrong_state):
            attempt()
    assert state(domain) == BOOTED
    domain.suspend()
    with refused(*client.implementation.wrong_state):
        domain.create()
    assert state(domain) == PAUSED


def test_a_running_domain_can_be_controlled(client: Client) -> None:
    domain = client.run("one")
    assert domain.controlInfo() == [libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0]


def test_no_job_is_under_way(client: Client) -> None:
    client.require(Ability.JOB_INFO)
    domain = client.run("one")
    assert domain.jobInfo()[0] == libvirt.VIR_DOMAIN_JOB_NONE
    assert domain.jobStats() == {"type": libvirt.VIR_DOMAIN_JOB_NONE}


@pytest.mark.parametrize("how", ["create", "createWithFlags"])
def test_both_starts_tell_the_id(client: Client, how: str) -> None:
    domain = client.define("one")
    getattr(domain, how)()
    assert domain.ID() == client.connection.lookupByName(f"{PREFIX}one").ID() > 0
