# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Any connection: what clients hear of a domain's life, in which order, and with which details."""

from collections.abc import Callable
from typing import Final

import libvirt

from tests.support.connections import Ability, Client, Heard, Listener, lifecycle

DEFINED = (libvirt.VIR_DOMAIN_EVENT_DEFINED, libvirt.VIR_DOMAIN_EVENT_DEFINED_ADDED)
CHANGED = (libvirt.VIR_DOMAIN_EVENT_DEFINED, libvirt.VIR_DOMAIN_EVENT_DEFINED_UPDATED)
UNDEFINED = (libvirt.VIR_DOMAIN_EVENT_UNDEFINED, libvirt.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED)
STARTED = (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED)
SUSPENDED = (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
RESUMED = (libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
DESTROYED = (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
UUID_ONE = "11111111-2222-4333-8444-555555555555"

Listen = Callable[..., Listener]

_EVENTS_OF_9_0: Final = 27  # VIR_DOMAIN_EVENT_ID_LAST


def test_a_whole_life_in_order(client: Client, listen: Listen) -> None:
    listener = listen()
    domain = client.define("one", uuid=UUID_ONE)
    client.define("one", uuid=UUID_ONE)
    domain.create()
    domain.suspend()
    domain.resume()
    domain.destroy()
    domain.undefine()
    steps = (DEFINED, CHANGED, STARTED, SUSPENDED, RESUMED, DESTROYED, UNDEFINED)
    listener.expect(*(lifecycle("one", *step) for step in steps))


def test_a_transient_life(client: Client, listen: Listen) -> None:
    listener = listen()
    client.create("one").destroy()
    listener.expect(lifecycle("one", *STARTED), lifecycle("one", *DESTROYED))


def test_a_start_in_pause(client: Client, listen: Listen) -> None:
    client.require(Ability.START_PAUSED)
    domain = client.define("one")
    listener = listen()
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    domain.resume()
    listener.expect(*(lifecycle("one", *step) for step in (STARTED, SUSPENDED, RESUMED)))


def test_a_reset(client: Client, listen: Listen) -> None:
    client.require(Ability.REBOOT_EVENT)
    domain = client.run("one")
    listener = listen(domain)
    domain.reset()
    listener.expect(Heard("reboot", "one"))


def test_a_definition_comes_back_while_it_runs(client: Client, listen: Listen) -> None:
    listener = listen()
    domain = client.create("one", uuid=UUID_ONE)
    client.define("one", uuid=UUID_ONE)
    domain.undefine()
    listener.expect(*(lifecycle("one", *step) for step in (STARTED, DEFINED, UNDEFINED)))


def test_who_asks_for_one_domain_hears_of_one(client: Client, listen: Listen) -> None:
    first, second = client.define("one"), client.define("two")
    everything, only_second = listen(), listen(second)
    first.create()
    second.create()
    first.destroy()
    second.destroy()
    everything.expect(
        lifecycle("one", *STARTED),
        lifecycle("two", *STARTED),
        lifecycle("one", *DESTROYED),
        lifecycle("two", *DESTROYED),
    )
    only_second.expect(lifecycle("two", *STARTED), lifecycle("two", *DESTROYED))


def test_every_connection_hears(client: Client, readonly: Client, listen: Listen) -> None:
    mine, theirs = listen(), Listener(readonly)
    client.run("one").destroy()
    for listener in (mine, theirs):
        listener.expect(*(lifecycle("one", *step) for step in (DEFINED, STARTED, DESTROYED)))
    theirs.close()


def test_who_has_gone_hears_nothing(client: Client, readonly: Client, listen: Listen) -> None:
    gone, present = Listener(readonly), listen()
    gone.close()
    client.define("one")
    present.expect(lifecycle("one", *DEFINED))
    gone.expect()


def test_a_refused_change_is_not_told(client: Client, listen: Listen) -> None:
    domain = client.define("one")
    listener = listen()
    for attempt in (domain.destroy, domain.suspend, domain.resume):
        try:
            attempt()
        except libvirt.libvirtError:
            continue
        raise AssertionError("it was not refused")
    domain.undefine()
    listener.expect(lifecycle("one", *UNDEFINED))


def test_every_event_there_is_can_be_asked_for(client: Client) -> None:
    """Of all domains and of one, as Vdsm does with eleven of them, whether it can happen here or not."""
    domain = client.define("one")
    register, deregister = client.connection.domainEventRegisterAny, client.connection.domainEventDeregisterAny
    events = range(_EVENTS_OF_9_0)
    callbacks = [register(of, event, lambda *_facts: None, event) for of in (None, domain) for event in events]
    assert len(set(callbacks)) == 2 * len(events)
    for callback in callbacks:
        deregister(callback)
