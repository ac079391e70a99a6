# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's web server with streams alone, over TLS, and a host that the test plays."""

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from starlette.testclient import TestClient

from covirt.engine.api.app import create_app
from covirt.engine.api.streams import stream_routes
from covirt.engine.auth.errors import TokenExpired
from covirt.engine.auth.principal import Principal
from covirt.engine.config import ServerConfig
from covirt.engine.console.opening import Consoles
from covirt.engine.console.streams import Streams
from covirt.engine.console.tickets import StreamTickets
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.model.event import Event
from covirt.engine.model.vm import VmFacts, VmStatus
from covirt.engine.server import EngineServer
from covirt.engine.store.store import Store
from covirt.rpc.tls import TlsFiles
from tests.support.authority import TestAuthority
from tests.support.engine_api import ADMIN, USER, KnownTokens, api_services
from tests.support.engine_changing import events, installed, store
from tests.support.engine_samples import CONTAINER_ID, HOST_ID
from tests.support.played_streams import PlayedStreams
from tests.support.waiting import wait_until
from tests.support.websockets import StreamSocket

__all__ = ["Proxy", "installed", "store"]

VERBS: Final = ("VM.openConsole", "VM.openDisplay", "VM.openExec", "VM.openLog")


@dataclass
class PlayedLogins:
    """Who was logged out is in ``over``."""

    over: set[str] = field(default_factory=set)
    seen: list[str | None] = field(default_factory=list)

    def still(self, user_id: str, session_id: str | None) -> Principal:
        self.seen.append(session_id)
        if session_id in self.over:
            raise TokenExpired
        return next(each for each in (ADMIN, USER) if each.user_id == user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    store: Store
    hosts: FakeHosts
    host: PlayedStreams
    logins: PlayedLogins
    tickets: StreamTickets
    streams: Streams
    server: EngineServer
    client: TestClient
    tls: ssl.SSLContext

    def ask(self, vm_id: str = CONTAINER_ID, *, who: str = "admin", **wanted: Any) -> Any:
        """For a ticket."""
        headers = {"Authorization": f"Bearer {who}", "Filter": "true" if who == "user" else "false"}
        return self.client.post(f"/covirt/vms/{vm_id}/streams", json=wanted, headers=headers)

    def open(self, vm_id: str = CONTAINER_ID, *, who: str = "admin", **wanted: Any) -> StreamSocket:
        answer = self.ask(vm_id, who=who, **wanted)
        assert answer.status_code == 201, answer.text
        return self.show(answer.json()["path"])

    def show(self, path: str) -> StreamSocket:
        return StreamSocket(f"wss://127.0.0.1:{self.server.port}{path}", self.tls)

    def told(self, code: int) -> Sequence[Event]:
        """Events of that kind, latest first."""
        return [event for event in events(self.store, 50) if event.code == code]

    def wait_none(self) -> None:
        wait_until(lambda: not self.streams.counts(), what="all streams to be over")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return TestAuthority().issue(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def proxy(store: Store, files: TlsFiles) -> Iterator[Proxy]:
    host = PlayedStreams()
    proxy = _proxy(store, host, files)
    proxy.server.start()
    try:
        yield proxy
        proxy.wait_none()
    finally:
        proxy.server.stop()
        host.stop()


def _proxy(store: Store, host: PlayedStreams, files: TlsFiles) -> Proxy:
    hosts, tickets, logins = FakeHosts(up={HOST_ID}), StreamTickets(), PlayedLogins()
    hosts.answers = {verb: {"ticket": f"of {verb}", "validSeconds": 60} for verb in VERBS}
    with store.write() as session:
        oven = session.hosts.get(HOST_ID)
        session.hosts.update(replace(oven, address="127.0.0.1", port=host.port))
        session.vms.update_facts(CONTAINER_ID, VmFacts(status=VmStatus.UP, host_id=HOST_ID))
    consoles = Consoles(store, hosts, tickets)
    streams = Streams(store, tickets, consoles, logins, tls=None)
    known = KnownTokens(
        tokens={"admin": replace(ADMIN, session_id="admin's"), "user": replace(USER, session_id="cook's")}
    )
    services = replace(api_services(store), hosts=hosts, consoles=consoles, authenticator=known)
    app = create_app(services, routes=[*stream_routes(services), streams.route()])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    return Proxy(
        store=store,
        hosts=hosts,
        host=host,
        logins=logins,
        tickets=tickets,
        streams=streams,
        server=EngineServer(app, ServerConfig(listen="127.0.0.1", port=0), tls),
        client=TestClient(app),
        tls=ssl.create_default_context(cafile=str(files.ca)),
    )
