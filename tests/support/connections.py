# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The implementations of libvirt's connection that the contract is tested with, and a client's ears and eyes."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import libvirt
import pytest
from lxml import etree

from covirt.common.dialect import STOP_CAUSE_NAMESPACE

SECONDS: Final = 60.0  # for what takes milliseconds on an idle machine
PREFIX: Final = "contract-"  # of every domain a test makes; test:///default has one of its own


class Ability(StrEnum):
    """What not every implementation has."""

    KEEPALIVE = "keepalive"
    READ_ONLY_SOCKET = "a socket that lets nobody write"
    START_PAUSED = "start paused"
    STRICT_TRANSIENT = "a transient domain cannot be undefined or started automatically"
    STATISTICS = "statistics beyond the state"
    CPU_TIME = "a count of CPU time"
    REBOOT_EVENT = "an event when a reset is done"
    SHUTDOWN_EVENT = "an event before a stop that was asked for"
    JOB_INFO = "facts about jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Implementation:
    """What stands behind one URI, and where it legitimately differs: ``lacks`` says why."""

    name: str
    uri: str
    readonly_uri: str
    make_xml: Callable[[str], str]  # name -> a domain that starts and ends when it is asked to
    wait_until_ready: Callable[[str], None] = lambda _name: None  # until the domain listens to what it is asked
    ends_by_signal_at_once: bool = False  # also before it is ready
    lacks: Mapping[Ability, str] = field(default_factory=dict)
    # The codes for "not in this state".
    wrong_state: frozenset[int] = frozenset({libvirt.VIR_ERR_OPERATION_INVALID})
    # More lifecycle events than the contract promises, as (event, detail).
    adds_events: frozenset[tuple[int, int]] = frozenset()
    resumes_to_start: bool = False  # tells of a resumption before it tells of a start

    def require(self, ability: Ability) -> None:
        """Skip the test where the implementation lacks this by its nature (a reason allowed by tests/conftest.py)."""
        if ability in self.lacks:
            pytest.skip(f"{self.name} differs, {ability}: {self.lacks[ability]}")

    def xml(self, name: str, *, uuid: str | None = None, title: str | None = None) -> str:
        """A definition; ``name`` is put behind PREFIX."""
        domain = etree.fromstring(self.make_xml(f"{PREFIX}{name}"))
        place = [child.tag for child in domain].index("name") + 1
        for tag, text in (("title", title), ("uuid", uuid)):
            if text is not None:
                element = etree.Element(tag)
                element.text = text
                domain.insert(place, element)
        return etree.tostring(domain, encoding="unicode")


class Client:
    """An open connection to an implementation, with a test's usual questions."""

    def __init__(self, implementation: Implementation, connection: "libvirt.virConnect") -> None:
        self.implementation = implementation
        self.connection = connection

    def require(self, ability: Ability) -> None:
        self.implementation.require(ability)

    def define(self, name: str, **parts: str) -> "libvirt.virDomain":
        return self.connection.defineXML(self.implementation.xml(name, **parts))

    def run(self, name: str) -> "libvirt.virDomain":
        """A persistent domain that is running."""
        domain = self.define(name)
        domain.create()
        return domain

    def create(self, name: str, *, flags: int = 0, **parts: str) -> "libvirt.virDomain":
        """A transient one."""
        return self.connection.createXML(self.implementation.xml(name, **parts), flags)

    def names(self, flags: int = 0) -> list[str]:
        """Those of the tests' domains that pass the filter, without PREFIX."""
        return sorted(short_name(domain) for domain in self.connection.listAllDomains(flags) if is_ours(domain))

    def remove_domains(self) -> None:
        for domain in filter(is_ours, self.connection.listAllDomains()):
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            with contextlib.suppress(libvirt.libvirtError):  # a transient one is gone by now
                domain.undefine()


def is_ours(domain: "libvirt.virDomain") -> bool:
    return bool(domain.name().startswith(PREFIX))


def short_name(domain: "libvirt.virDomain") -> str:
    return str(domain.name().removeprefix(PREFIX))


@contextlib.contextmanager
def refused(*codes: int) -> Iterator[None]:
    """The block must end in a libvirt error with one of these codes, and with a message."""
    with pytest.raises(libvirt.libvirtError) as caught:
        yield
    code = caught.value.get_error_code()
    assert code in codes, f"error {code}, not {codes}: {caught.value}"
    assert caught.value.get_error_message()


@contextlib.contextmanager
def event_loop() -> Iterator[None]:
    """libvirt's own event loop in a thread. Once per process; every connection must be opened later."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    stopping = False

    def run() -> None:
        while not stopping:
            libvirt.virEventRunDefaultImpl()

    thread = threading.Thread(target=run, name="libvirt-events", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping = True
        timer = libvirt.virEventAddTimeout(0, lambda *_args: None, None)  # wakes it
        thread.join()
        libvirt.virEventRemoveTimeout(timer)


@dataclass(frozen=True, slots=True)
class Heard:
    """One event. ``what``: the event with its detail, or the kind of metadata with its namespace."""

    kind: str
    name: str
    what: tuple[Any, ...] = ()


class Listener:
    """Hears lifecycle, metadata and reboot events of all domains, or of one."""

    def __init__(self, client: Client, domain: "libvirt.virDomain | None" = None) -> None:
        self._connection = client.connection
        self._implementation = client.implementation
        self._suspended: set[str] = set()
        self._heard: list[Heard] = []
        self._news = threading.Condition()
        register = self._connection.domainEventRegisterAny
        self._callbacks = [
            register(domain, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle, None),
            register(domain, libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, self._metadata, None),
            register(domain, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._reboot, None),
        ]

    def close(self) -> None:
        for callback in self._callbacks:
            self._connection.domainEventDeregisterAny(callback)

    def _lifecycle(self, _connection: Any, domain: Any, event: int, detail: int, _opaque: Any) -> None:
        if (event, detail) not in self._implementation.adds_events and self._counts(domain.name(), event):
            self._add(Heard("lifecycle", short_name(domain), (event, detail)))

    def _counts(self, name: str, event: int) -> bool:
        if event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
            self._suspended.add(name)
        elif event == libvirt.VIR_DOMAIN_EVENT_RESUMED:
            return name in self._suspended or not self._implementation.resumes_to_start
        elif event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
            self._suspended.discard(name)
        return True

    def _metadata(self, _connection: Any, domain: Any, kind: int, uri: str | None, _opaque: Any) -> None:
        # virtocid tells why a domain stopped as metadata; others have nothing to compare it with.
        if uri != STOP_CAUSE_NAMESPACE:
            self._add(Heard("metadata", short_name(domain), (kind, uri)))

    def _reboot(self, _connection: Any, domain: Any, _opaque: Any) -> None:
        self._add(Heard("reboot", short_name(domain)))

    def _add(self, heard: Heard) -> None:
        with self._news:
            self._heard.append(heard)
            self._news.notify_all()

    def expect(self, *expected: Heard) -> None:
        """These events and no others, since the last call, in this order."""
        with self._news:
            self._news.wait_for(lambda: len(self._heard) >= len(expected), SECONDS)
            heard, self._heard = self._heard, []
        assert heard == list(expected), "heard " + ", ".join(map(str, heard))


def lifecycle(name: str, event: int, detail: int) -> Heard:
    return Heard("lifecycle", name, (event, detail))
