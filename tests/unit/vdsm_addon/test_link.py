# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the add-on tells Vdsm when virtocid is slow, or answers when something else has happened already."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import libvirt
import pytest
from covirt_vdsm import errors
from covirt_vdsm.composite import Composite
from covirt_vdsm.link import Link
from covirt_vdsm.settings import Settings

from tests.support.waiting import wait_until

LIFECYCLE: Final = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
RUNNING, PAUSED = [libvirt.VIR_DOMAIN_RUNNING, 1], [libvirt.VIR_DOMAIN_PAUSED, 1]
STARTED: Final = (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED)
SUSPENDED: Final = (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
WEB: Final = "0b1c5c64-5a0e-4b4a-9d0e-1f9b4a1f8d11"


class FakeDomain:
    """One of libvirt's, running."""

    def __init__(self, uuid: str = WEB) -> None:
        self._uuid = uuid

    def UUIDString(self) -> str:  # noqa: N802
        return self._uuid

    def name(self) -> str:
        return "web"

    def state(self, _flags: int) -> list[int]:
        return RUNNING

    def isActive(self) -> int:  # noqa: N802
        return 1


class FakeConnection:
    """To virtocid, or to libvirt; ``listing`` runs in each listAllDomains but the first, which the link makes."""

    def __init__(self, domains: list[FakeDomain], listing: Callable[[], None] = lambda: None) -> None:
        self.domains = {domain.UUIDString(): domain for domain in domains}
        self.callbacks: dict[int, Callable[..., None]] = {}
        self._listing = listing
        self._listings = 0

    def registerCloseCallback(self, _callback: Any, _opaque: Any) -> None:  # noqa: N802
        pass

    def unregisterCloseCallback(self) -> None:  # noqa: N802
        pass

    def setKeepAlive(self, _seconds: int, _count: int) -> None:  # noqa: N802
        pass

    def domainEventRegisterAny(self, _dom: Any, event: int, callback: Callable[..., None], _opaque: Any) -> int:  # noqa: N802
        self.callbacks[event] = callback
        return event

    def listAllDomains(self, _flags: int = 0) -> list[FakeDomain]:  # noqa: N802
        self._listings += 1
        if self._listings > 1:
            self._listing()
        return list(self.domains.values())

    def lookupByUUIDString(self, uuid: str) -> FakeDomain:  # noqa: N802
        if uuid not in self.domains:
            raise errors.made(libvirt.VIR_ERR_NO_DOMAIN, uuid)
        return self.domains[uuid]

    def domainListGetStats(self, domains: list[FakeDomain], *_: Any, **_named: Any) -> list[Any]:  # noqa: N802
        return [(self.lookupByUUIDString(domain.UUIDString()), {"state.state": 1}) for domain in domains]

    def close(self) -> None:
        pass


class Vdsm:
    """Composite and link, as Vdsm has them, and the lifecycle events that it heard."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.composite = Composite(FakeConnection([]), link)
        self.heard: list[tuple[int, int]] = []
        self.composite.domainEventRegisterAny(None, LIFECYCLE, self._hear, LIFECYCLE)

    def _hear(self, _connection: Any, _domain: Any, event: int, detail: int, _opaque: int) -> None:
        self.heard.append((event, detail))

    def wait_for(self, *event: int) -> None:
        wait_until(lambda: event in self.heard, what=f"the event {event}, among {self.heard}")


Opened = Callable[..., Vdsm]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """A link to these connections, one after the other."""
    links: list[Link] = []

    def opening(*connections: FakeConnection, answer_seconds: float = 30) -> Vdsm:
        following = iter(connections)

        def opens(_uri: str) -> FakeConnection:
            try:
                return next(following)
            except StopIteration:
                raise errors.made(libvirt.VIR_ERR_NO_CONNECT, "no more") from None

        monkeypatch.setattr(libvirt, "open", opens)
        links.append(Link(Settings(enabled=True, answer_seconds=answer_seconds)))
        links[-1].start()
        links[-1].wait_until_tried()
        return Vdsm(links[-1])

    yield opening
    for link in links:
        link.stop()


def test_what_was_given_is_no_news(opened: Opened) -> None:
    vdsm = opened(FakeConnection([FakeDomain()]))
    assert [domain.UUIDString() for domain in vdsm.composite.listAllDomains()] == [WEB]
    vdsm.link.stop()
    assert vdsm.heard == []


def test_a_listing_that_comes_too_late_is_told(opened: Opened) -> None:
    slow, answered = threading.Event(), threading.Event()

    def listing() -> None:
        slow.wait(30)
        answered.set()

    first, second = (FakeConnection([FakeDomain()], listing) for _ in range(2))
    vdsm = opened(first, second, answer_seconds=0.05)
    try:
        assert vdsm.composite.listAllDomains() == []
    finally:
        slow.set()
    vdsm.wait_for(*STARTED)
    assert vdsm.composite.lookupByUUIDString(WEB).name() == "web"
    assert answered.wait(30)


def test_a_second_listing_without_the_containers_makes_news_of_them(opened: Opened) -> None:
    """Vdsm reads the XML of all before it takes any: when that fails, it lists everything once more."""
    stuck = threading.Event()
    vdsm = opened(FakeConnection([FakeDomain()]), FakeConnection([FakeDomain()]), answer_seconds=0.05)
    assert [domain.name() for domain in vdsm.composite.listAllDomains()] == ["web"]
    pending = vdsm.link.begin(lambda _live: stuck.wait(30))
    with pytest.raises(libvirt.libvirtError):
        pending.result(0)
    assert vdsm.composite.listAllDomains() == []
    stuck.set()
    vdsm.wait_for(*STARTED)


def test_only_one_listing_waits_for_a_connection_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def opens(_uri: str) -> None:
        over.wait(60)
        raise errors.made(libvirt.VIR_ERR_NO_CONNECT, "over")

    monkeypatch.setattr(libvirt, "open", opens)
    link = Link(Settings(enabled=True, answer_seconds=0.01))
    link.start()
    link.wait_until_tried()
    link.settings = Settings(enabled=True, answer_seconds=60)
    second = threading.Thread(target=link.wait_until_tried)
    second.start()
    second.join(10)
    try:
        assert not second.is_alive()
    finally:
        over.set()
        second.join()
        link.stop()


def test_an_event_counts_more_than_a_list_from_before_it(opened: Opened) -> None:
    """Both are on their way when a connection is new."""
    vdsm = opened()
    live = FakeConnection([FakeDomain()])
    vdsm.link.events.register(live)
    vdsm.link.adopt(FakeDomain())
    listed = {WEB: ("web", (RUNNING[0], RUNNING[1]))}
    live.callbacks[LIFECYCLE](live, FakeDomain(), *SUSPENDED, LIFECYCLE)
    vdsm.link.events.connected(listed)
    vdsm.link.stop()
    assert vdsm.heard == [SUSPENDED]  # and no word of a resumption


def test_a_container_that_came_after_the_list_has_not_ended(opened: Opened) -> None:
    vdsm = opened()
    live = FakeConnection([])
    vdsm.link.events.register(live)
    live.callbacks[LIFECYCLE](live, FakeDomain(), *STARTED, LIFECYCLE)
    vdsm.link.events.connected({})
    vdsm.link.stop()
    assert vdsm.heard == [STARTED]
    assert vdsm.link.known(WEB) is not None


def test_an_absent_container_costs_the_others_no_statistics(opened: Opened) -> None:
    gone = "11111111-2222-4333-8444-555555555555"
    live = FakeConnection([FakeDomain(), FakeDomain(gone)])
    vdsm = opened(live)
    domains = vdsm.composite.listAllDomains()
    assert len(domains) == 2
    del live.domains[gone]
    assert [domain.UUIDString() for domain, _ in vdsm.composite.domainListGetStats(domains)] == [WEB]
    assert vdsm.composite.domainListGetStats([each for each in domains if each.UUIDString() == gone]) == []
