# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The bus and the registrations of one connection."""

import threading
from uuid import UUID

from covirt.virtocid.events import Event, EventBus, Packets, Registration, Registrations
from covirt.wire import procedures as proc
from covirt.wire.constants import EventId, LifecycleEvent, MetadataType, SecretEvent, SecretEventId, StartedDetail
from covirt.wire.framing import FrameReader, FrameType
from covirt.wire.structs import RemoteDomain, RemoteSecret
from covirt.wire.structs_events import LifecycleMsg

WEB = RemoteDomain(name="web", uuid=UUID(int=1), id=3)
DB = RemoteDomain(name="db", uuid=UUID(int=2), id=4)


def registration(event_id: int, uuid: UUID | None = None, kind: str = "domain") -> Registration:
    return Registration(kind=kind, event_id=event_id, uuid=uuid)


def test_event_reaches_those_who_want_it() -> None:
    seen: list[Event] = []
    bus = EventBus()
    bus.subscribe(seen.append)
    bus.lifecycle(WEB, LifecycleEvent.STARTED, StartedDetail.BOOTED)
    registrations = Registrations(limit=10)
    everything = registrations.add(registration(EventId.LIFECYCLE))
    only_web = registrations.add(registration(EventId.LIFECYCLE, WEB.uuid))
    registrations.add(registration(EventId.LIFECYCLE, DB.uuid))
    registrations.add(registration(EventId.REBOOT))
    registrations.add(registration(EventId.LIFECYCLE, kind="network"))
    assert registrations.wanting(seen[0]) == [everything, only_web]
    number, body = seen[0].make(7)
    assert number == 318
    assert body == LifecycleMsg(callback_id=7, dom=WEB, event=2, detail=0)


def test_kinds_have_numbers_of_their_own() -> None:
    seen: list[Event] = []
    bus = EventBus()
    bus.subscribe(seen.append)
    password = RemoteSecret(uuid=WEB.uuid, usage_type=0, usage_id="")
    bus.lifecycle(WEB, LifecycleEvent.DEFINED, 0)
    bus.secret_lifecycle(password, SecretEvent.DEFINED)
    bus.secret_value_changed(password)
    registrations = Registrations(limit=10)
    domains = registrations.add(registration(EventId.LIFECYCLE))
    secrets = registrations.add(registration(SecretEventId.LIFECYCLE, kind="secret"))
    one = registrations.add(registration(SecretEventId.VALUE_CHANGED, WEB.uuid, kind="secret"))
    registrations.add(registration(SecretEventId.VALUE_CHANGED, DB.uuid, kind="secret"))
    assert [registrations.wanting(event) for event in seen] == [[domains], [secrets], [one]]


def test_nothing_is_left_of_registrations_for_numbers_that_clients_make_up() -> None:
    registrations = Registrations(limit=1)
    for number in range(1000):
        callback_id = registrations.add(registration(number, kind="network"))
        assert callback_id is not None
        assert registrations.remove(callback_id, kind="network")
    assert not registrations._by_event


def test_every_helper_makes_a_message_of_the_table() -> None:
    seen: list[Event] = []
    bus = EventBus()
    bus.subscribe(seen.append)
    bus.lifecycle(WEB, LifecycleEvent.STOPPED, 5)
    bus.reboot(WEB)
    bus.control_error(WEB)
    bus.metadata_change(WEB, MetadataType.ELEMENT, "http://example.org/x")
    bus.metadata_change(WEB, MetadataType.TITLE, None)
    bus.balloon_change(WEB, 65536)
    bus.device_added(WEB, "net0")
    bus.device_removed(WEB, "net0")
    bus.agent_lifecycle(WEB, 1, 2)
    bus.secret_lifecycle(RemoteSecret(uuid=WEB.uuid, usage_type=0, usage_id=""), SecretEvent.UNDEFINED)
    bus.secret_value_changed(RemoteSecret(uuid=WEB.uuid, usage_type=2, usage_id="db"))
    for event in seen:
        number, body = event.make(0)
        proc.MESSAGES[number].codec.encode(body)
    assert [event.event_id for event in seen] == [0, 1, 7, 23, 23, 13, 19, 15, 18, 0, 1]
    bus.unsubscribe(seen.append)
    bus.reboot(WEB)
    assert len(seen) == 11


def test_two_subscribers_see_one_order_whoever_publishes() -> None:
    bus = EventBus()
    first: list[int] = []
    second: list[int] = []
    bus.subscribe(lambda event: first.append(event.make(0)[1].detail))
    bus.subscribe(lambda event: second.append(event.make(0)[1].detail))

    def publish(start: int) -> None:
        for number in range(start, start + 200):
            bus.lifecycle(WEB, LifecycleEvent.STARTED, number)

    threads = [threading.Thread(target=publish, args=(start,)) for start in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first == second
    assert [number for number in first if number < 1000] == list(range(200))


def test_callback_ids_are_used_once() -> None:
    registrations = Registrations(limit=2)
    first = registrations.add(registration(0))
    assert first is not None
    assert registrations.add(registration(0)) == first + 1
    assert registrations.add(registration(0)) is None
    assert not registrations.remove(first, kind="network")
    assert registrations.remove(first, kind="domain")
    assert not registrations.remove(first, kind="domain")
    assert registrations.add(registration(0)) == first + 2
    assert len(registrations) == 2


def test_packets_of_one_event_differ_in_the_callback_id_only() -> None:
    seen: list[Event] = []
    bus = EventBus()
    bus.subscribe(seen.append)
    bus.lifecycle(WEB, LifecycleEvent.STARTED, 0)
    bus.metadata_change(WEB, MetadataType.TITLE, None)
    bus.balloon_change(WEB, 65536)
    bus.device_added(WEB, "net0")
    bus.agent_lifecycle(WEB, 1, 2)
    bus.reboot(WEB)
    for event in seen:
        packets = Packets(event)
        for callback_id in (0, 7, 2**31 - 1):
            number, body = event.make(callback_id)
            (frame,) = FrameReader().feed(packets.packet(callback_id))
            assert (frame.procedure, frame.type) == (number, FrameType.MESSAGE)
            assert proc.MESSAGES[number].codec.decode(frame.payload) == body
