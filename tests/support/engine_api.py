# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The REST API over a database with one of everything, for tests that are not about logging in."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import uvicorn
from argon2.profiles import CHEAPEST
from starlette.applications import Starlette
from starlette.testclient import TestClient

from covirt.engine.api.app import create_app
from covirt.engine.api.services import API_PATH, ApiServices, Commands, ProductVersion
from covirt.engine.auth.access import Access
from covirt.engine.auth.errors import TokenExpired
from covirt.engine.auth.passwords import Passwords
from covirt.engine.auth.principal import Principal
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.command import WAIT_SECONDS, Command, Outcome
from covirt.engine.console.opening import Consoles
from covirt.engine.console.tickets import StreamTickets
from covirt.engine.hosts.connections import Hosts
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.model.access import EVERYONE_ID
from covirt.engine.store.store import Store
from tests.support.engine_samples import ADMIN_ID, USER_ID
from tests.support.vaults import new_vault
from tests.support.waiting import wait_until

ADMIN: Final = Principal(
    user_id=ADMIN_ID, name="admin@internal-authz", group_ids=frozenset({EVERYONE_ID}), admin=True
)
MANAGER: Final = Principal(  # the same as USER, who has a role of an administrator somewhere
    user_id=USER_ID, name="cook@internal-authz", group_ids=frozenset({EVERYONE_ID}), admin=True
)
USER: Final = Principal(user_id=USER_ID, name="cook@internal-authz", group_ids=frozenset({EVERYONE_ID}), admin=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTokens:
    """Stands for the engine's authenticator: a token for each of two users."""

    tokens: Mapping[str, Principal]

    def authenticate(self, headers: Mapping[str, str], address: str) -> Principal:
        del address
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            raise TokenExpired
        return self.tokens[token]


class NoCommands:
    """For tests that begin no operation."""

    def run(self, asked: Asked, command: Command, *, wait_seconds: float = WAIT_SECONDS) -> Outcome:
        raise AssertionError(f"{asked} asks for {command}, and waits {wait_seconds} s")


def api_services(store: Store) -> ApiServices:
    hosts = FakeHosts()
    return ApiServices(
        store=store,
        authenticator=KnownTokens(tokens={"admin": ADMIN, "manager": MANAGER, "user": USER}),
        access=Access(store),
        commands=NoCommands(),
        hosts=hosts,
        consoles=Consoles(store, hosts, StreamTickets()),
        version=ProductVersion(full="4.5.0-covirt-test"),
        passwords=Passwords(CHEAPEST),
        vault=new_vault(),
    )


def api_app(store: Store) -> Starlette:
    return create_app(api_services(store))


def api_app_of(store: Store, *, commands: Commands, hosts: Hosts) -> Starlette:
    """With operations, and hosts to ask."""
    return create_app(api_services_of(store, commands=commands, hosts=hosts))


def api_services_of(store: Store, *, commands: Commands, hosts: Hosts) -> ApiServices:
    consoles = Consoles(store, hosts, StreamTickets())
    return replace(api_services(store), commands=commands, hosts=hosts, consoles=consoles)


def api_client(app: Starlette, *, user: str = "admin") -> TestClient:
    """Asks as the user, or as nobody; an error inside of the application is an answer, as it is for clients."""
    headers = {"Authorization": f"Bearer {user}"} if user else {}
    return TestClient(app, base_url=f"http://engine.example.com{API_PATH}/", headers=headers, follow_redirects=False)


@contextmanager
def serve_api(app: Starlette) -> Iterator[str]:
    """The application on a port of the loopback; the URL of its API. Without TLS, which is not the API's."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", ws="websockets-sansio", timeout_graceful_shutdown=5
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="api-server")
        thread.start()
        try:
            wait_until(lambda: server.started, what="the server listens")
            host, port = sock.getsockname()
            yield f"http://{host}:{port}{API_PATH}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)
