# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts that a test plays: each verb answers what the test says."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from covirt.engine.hosts.connections import HostListener, Preparation
from covirt.engine.hosts.errors import HostRefused, HostUnreachable
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

Answering = Callable[[Mapping[str, Json]], Json]


@dataclass
class FakeHosts:
    """``up`` are the ids of those that can be asked. A verb without an answer is refused as one that Vdsm does not
    have; an answer may be an exception, which is raised."""

    up: set[str] = field(default_factory=set)
    answers: dict[str, Json | Answering | Exception] = field(default_factory=dict)
    calls: list[tuple[str, str, Mapping[str, Json]]] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    looks: int = 0
    prepared_again: int = 0
    listeners: list[HostListener] = field(default_factory=list)
    preparations: list[Preparation] = field(default_factory=list)
    releases: list[Preparation] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    flow_ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def call(
        self,
        host_id: str,
        verb: str,
        params: Mapping[str, Json] | None = None,
        *,
        flow_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Json:
        del timeout_seconds
        if host_id not in self.up:
            raise HostUnreachable(host=host_id, verb=verb, reason="it is down in this test")
        given = dict(params or {})
        self.calls.append((host_id, verb, given))
        self.flow_ids[verb].append(flow_id)
        if verb not in self.answers:
            text = f"the method does not exist or is not available: {verb}"
            raise HostRefused(host=host_id, verb=verb, code=Code.NO_SUCH_METHOD, text=text)
        answer = self.answers[verb]
        if isinstance(answer, Exception):
            raise answer
        return answer(given) if callable(answer) else answer

    def asked(self, verb: str) -> list[Mapping[str, Json]]:
        """The parameters of all calls of the verb."""
        return [params for _, name, params in self.calls if name == verb]

    def is_up(self, host_id: str) -> bool:
        return host_id in self.up

    def is_connected(self, host_id: str) -> bool:
        return host_id in self.up

    def refresh(self, host_id: str) -> None:
        if host_id not in self.up:
            raise HostUnreachable(host=host_id, verb="Host.getCapabilities", reason="it is down in this test")
        self.refreshed.append(host_id)

    def look(self) -> None:
        self.looks += 1

    def add_listener(self, listener: HostListener) -> None:
        self.listeners.append(listener)

    def add_preparation(self, preparation: Preparation) -> None:
        self.preparations.append(preparation)

    def add_release(self, release: Preparation) -> None:
        self.releases.append(release)

    def release(self, host_id: str) -> None:
        self.released.append(host_id)
        for release in reversed(self.releases):
            release(host_id)

    def prepare_again(self) -> None:
        self.prepared_again += 1

    def tell(self, host_id: str, topic: str, params: Mapping[str, Json]) -> None:
        """An event of a host."""
        for listener in self.listeners:
            listener(host_id, topic, params)
