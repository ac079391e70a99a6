# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From whoever knows that something happened to every client that asked to hear of it, in one order.

publish() may be called from any thread. The order of the calls is the order at every client; a client that does not
read is dropped by its session, so nobody waits.
"""

import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from covirt.wire import procedures as proc
from covirt.wire.constants import EventId, LifecycleEvent, MetadataType, SecretEvent, SecretEventId
from covirt.wire.framing import HEADER_BYTES, REMOTE_PROGRAM, Frame, FrameType
from covirt.wire.params import TypedParam
from covirt.wire.procedures_devices import EVENT_DEVICE_REMOVAL_FAILED
from covirt.wire.procedures_secret import EVENT_SECRET_LIFECYCLE, EVENT_SECRET_VALUE_CHANGED
from covirt.wire.structs import RemoteDomain, RemoteSecret
from covirt.wire.structs_events import (
    AgentLifecycleMsg,
    BalloonChangeMsg,
    DeviceAliasMsg,
    DomainMsg,
    LifecycleMsg,
    MetadataChangeMsg,
    TunableMsg,
)
from covirt.wire.structs_secret import SecretLifecycleMsg, SecretMsg

DOMAIN: Final = "domain"
SECRET: Final = "secret"  # noqa: S105 - a kind of object

_CALLBACK_ID: Final = struct.Struct(">i")  # the first field of every event's body

# The number of the message and its body, for the callback id of one registration.
MessageMaker = Callable[[int], tuple[int, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the domain or secret ``uuid``; the numbers of ``event_id`` are its kind's own."""

    event_id: int
    uuid: UUID
    make: MessageMaker
    kind: str = DOMAIN


class Packets:
    """The packets of one event, for any number of registrations: encoded once, but for the callback id in front."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self._parts: tuple[bytes, bytes] | None = None

    def packet(self, callback_id: int) -> bytes:
        """Raises WireError when the event cannot be sent."""
        if self._parts is None:
            number, body = self.event.make(0)
            payload = proc.MESSAGES[number].codec.encode(body)
            whole = Frame(program=REMOTE_PROGRAM, procedure=number, type=FrameType.MESSAGE, payload=payload).encode()
            self._parts = whole[:HEADER_BYTES], whole[HEADER_BYTES + _CALLBACK_ID.size :]
        header, rest = self._parts
        return header + _CALLBACK_ID.pack(callback_id) + rest


Subscriber = Callable[[Event], None]


class EventBus:
    """Hands events on. A subscriber must not block and not call back into the bus."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._subscribers.remove(subscriber)

    def publish(self, event_id: int, uuid: UUID, make: MessageMaker, *, kind: str = DOMAIN) -> None:
        """Send what ``make`` gives for each callback id to every client registered for this event and object."""
        event = Event(event_id=event_id, uuid=uuid, make=make, kind=kind)
        with self._lock:  # held while handing on, so that two threads cannot swap their events
            for subscriber in self._subscribers:
                subscriber(event)

    def lifecycle(self, dom: RemoteDomain, event: LifecycleEvent, detail: int) -> None:
        """``detail`` is numbered per event: StoppedDetail, StartedDetail and so on."""
        self.publish(
            EventId.LIFECYCLE,
            dom.uuid,
            lambda callback_id: (
                proc.EVENT_LIFECYCLE.number,
                LifecycleMsg(callback_id=callback_id, dom=dom, event=event, detail=detail),
            ),
        )

    def reboot(self, dom: RemoteDomain) -> None:
        self._domain_only(EventId.REBOOT, proc.EVENT_REBOOT.number, dom)

    def control_error(self, dom: RemoteDomain) -> None:
        self._domain_only(EventId.CONTROL_ERROR, proc.EVENT_CONTROL_ERROR.number, dom)

    def metadata_change(self, dom: RemoteDomain, kind: MetadataType, uri: str | None) -> None:
        """``uri`` is the namespace of the element that changed; None for title and description."""
        self.publish(
            EventId.METADATA_CHANGE,
            dom.uuid,
            lambda callback_id: (
                proc.EVENT_METADATA_CHANGE.number,
                MetadataChangeMsg(callback_id=callback_id, dom=dom, type=kind, nsuri=uri),
            ),
        )

    def balloon_change(self, dom: RemoteDomain, actual_kib: int) -> None:
        self.publish(
            EventId.BALLOON_CHANGE,
            dom.uuid,
            lambda callback_id: (
                proc.EVENT_BALLOON_CHANGE.number,
                BalloonChangeMsg(callback_id=callback_id, dom=dom, actual=actual_kib),
            ),
        )

    def tunable(self, dom: RemoteDomain, params: tuple[TypedParam, ...]) -> None:
        """``params`` by libvirt's VIR_DOMAIN_TUNABLE_* names."""
        self.publish(
            EventId.TUNABLE,
            dom.uuid,
            lambda callback_id: (
                proc.EVENT_TUNABLE.number,
                TunableMsg(callback_id=callback_id, dom=dom, params=params),
            ),
        )

    def device_added(self, dom: RemoteDomain, alias: str) -> None:
        self._device(EventId.DEVICE_ADDED, proc.EVENT_DEVICE_ADDED.number, dom, alias)

    def device_removed(self, dom: RemoteDomain, alias: str) -> None:
        self._device(EventId.DEVICE_REMOVED, proc.EVENT_DEVICE_REMOVED.number, dom, alias)

    def device_removal_failed(self, dom: RemoteDomain, alias: str) -> None:
        self._device(EventId.DEVICE_REMOVAL_FAILED, EVENT_DEVICE_REMOVAL_FAILED.number, dom, alias)

    def agent_lifecycle(self, dom: RemoteDomain, state: int, reason: int) -> None:
        self.publish(
            EventId.AGENT_LIFECYCLE,
            dom.uuid,
            lambda callback_id: (
                proc.EVENT_AGENT_LIFECYCLE.number,
                AgentLifecycleMsg(callback_id=callback_id, dom=dom, state=state, reason=reason),
            ),
        )

    def secret_lifecycle(self, secret: RemoteSecret, event: SecretEvent) -> None:
        self.publish(
            SecretEventId.LIFECYCLE,
            secret.uuid,
            lambda callback_id: (
                EVENT_SECRET_LIFECYCLE.number,
                SecretLifecycleMsg(callback_id=callback_id, secret=secret, event=event, detail=0),
            ),
            kind=SECRET,
        )

    def secret_value_changed(self, secret: RemoteSecret) -> None:
        """That it did, and not to what."""
        self.publish(
            SecretEventId.VALUE_CHANGED,
            secret.uuid,
            lambda callback_id: (
                EVENT_SECRET_VALUE_CHANGED.number,
                SecretMsg(callback_id=callback_id, secret=secret),
            ),
            kind=SECRET,
        )

    def _domain_only(self, event_id: int, number: int, dom: RemoteDomain) -> None:
        self.publish(event_id, dom.uuid, lambda callback_id: (number, DomainMsg(callback_id=callback_id, dom=dom)))

    def _device(self, event_id: int, number: int, dom: RemoteDomain, alias: str) -> None:
        self.publish(
            event_id,
            dom.uuid,
            lambda callback_id: (number, DeviceAliasMsg(callback_id=callback_id, dom=dom, dev_alias=alias)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a client asked for: an event of one object, or of all of the kind (``uuid`` None)."""

    kind: str  # domain, network, storage_pool, node_device, secret; only domains and secrets ever have events here
    event_id: int
    uuid: UUID | None

    def wants(self, event: Event) -> bool:
        return (self.kind, self.event_id) == (event.kind, event.event_id) and self.uuid in (None, event.uuid)


class Registrations:
    """The callback ids of one connection, each used once."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._entries: dict[int, Registration] = {}
        self._by_event: dict[tuple[str, int], dict[int, Registration]] = {}  # by kind and number, oldest first
        self._next = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, registration: Registration) -> int | None:
        """The new callback id, or None at the limit."""
        if len(self._entries) >= self._limit:
            return None
        callback_id = self._next
        self._next = (self._next + 1) & 0x7FFFFFFF
        self._entries[callback_id] = registration
        self._by_event.setdefault((registration.kind, registration.event_id), {})[callback_id] = registration
        return callback_id

    def remove(self, callback_id: int, *, kind: str) -> bool:
        """False when there is no such registration."""
        entry = self._entries.get(callback_id)
        if entry is None or entry.kind != kind:
            return False
        del self._entries[callback_id]
        key = (entry.kind, entry.event_id)
        del self._by_event[key][callback_id]
        if not self._by_event[key]:  # the numbers are the client's to choose, and there are many
            del self._by_event[key]
        return True

    def wanting(self, event: Event) -> list[int]:
        """The callback ids that want ``event``, oldest first."""
        entries = self._by_event.get((event.kind, event.event_id))
        return [callback_id for callback_id, entry in entries.items() if entry.wants(event)] if entries else []
