# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's hosts, where there is one: a real covirt-host that is always up for the engine."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from covirt.engine.hosts.connections import HostConnection, HostListener, Preparation
from covirt.engine.hosts.errors import HostUnreachable
from covirt.rpc.client import ClientSettings
from covirt.rpc.jsonrpc import Json
from covirt.rpc.tls import TlsFiles, client_context
from tests.support.covirt_host import CovirtHost
from tests.support.waiting import wait_until


class OneHost:
    """Calls go to the real host."""

    def __init__(self, host_id: str, covirt_host: CovirtHost) -> None:
        self.host_id = host_id
        self._connection = HostConnection(
            "one",
            "localhost",
            covirt_host.port,
            tls=client_context(TlsFiles.in_directory(covirt_host.pki)),
            on_state=lambda _: None,
            on_event=self._tell,
            settings=ClientSettings(),
        )
        self._listeners: list[HostListener] = []
        self.preparations: list[Preparation] = []
        self.releases: list[Preparation] = []

    def call(
        self,
        host_id: str,
        verb: str,
        params: Mapping[str, Json] | None = None,
        *,
        flow_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Json:
        if host_id != self.host_id:
            raise HostUnreachable(host=host_id, verb=verb, reason="there is one host only in this test")
        return self._connection.call(verb, params, flow_id=flow_id, timeout_seconds=timeout_seconds)

    def is_up(self, host_id: str) -> bool:
        return host_id == self.host_id and self._connection.is_connected

    def refresh(self, host_id: str) -> None:
        self.call(host_id, "Host.ping2")

    def look(self) -> None:
        pass

    def add_listener(self, listener: HostListener) -> None:
        self._listeners.append(listener)

    def add_preparation(self, preparation: Preparation) -> None:
        self.preparations.append(preparation)

    def is_connected(self, host_id: str) -> bool:
        return self.is_up(host_id)

    def add_release(self, release: Preparation) -> None:
        self.releases.append(release)

    def release(self, host_id: str) -> None:
        for release in self.releases:
            release(host_id)

    def prepare_again(self) -> None:
        pass

    def _tell(self, topic: str, params: Mapping[str, Json]) -> None:
        for listener in self._listeners:
            listener(self.host_id, topic, params)

    @contextmanager
    def connected(self) -> Iterator["OneHost"]:
        self._connection.start()
        try:
            wait_until(lambda: self._connection.is_connected, what="a connection to covirt-host")
            yield self
        finally:
            self._connection.stop()
