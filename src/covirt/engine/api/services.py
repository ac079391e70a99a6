# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the API needs of the rest of the engine."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from covirt.engine.commands.asked import Asked
from covirt.engine.commands.command import Command, Outcome
from covirt.engine.console.request import StreamRequest
from covirt.engine.hosts.connections import Hosts
from covirt.engine.vault.vault import Vault

API_PATH: Final = "/ovirt-engine/api"


class Principal(Protocol):
    """Who asks."""

    @property
    def user_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def group_ids(self) -> Collection[str]: ...
    @property
    def admin(self) -> bool: ...
    @property
    def session_id(self) -> str | None: ...


class Authenticator(Protocol):
    def authenticate(self, headers: Mapping[str, str], address: str) -> Principal:
        """``headers`` have lower-case names. Raises auth.errors.Unauthenticated."""
        ...


class Access(Protocol):
    def viewer(self, principal: Any, *, filtered: bool) -> Any:
        """What lists are limited to (store.ListQuery.visible_to); None sees everything. Raises Denied for a user
        without an administrator's role who does not ask for the filtered view."""
        ...


class Passwords(Protocol):
    def hash(self, password: str) -> str:
        """What may be kept. Slow. Raises LoginsBusy."""
        ...


class Commands(Protocol):
    def run(self, asked: Asked, command: Command, *, wait_seconds: float = ...) -> Outcome:
        """Begin a durable operation, and wait a while for its end. Raises what it fails with."""
        ...


class Consoles(Protocol):
    @property
    def valid_seconds(self) -> int:
        """How long a ticket can be used."""
        ...

    def issue(self, asked: Asked, session_id: str | None, vm_id: str, request: StreamRequest) -> str:
        """A ticket for one stream of the machine, which is a secret."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductVersion:
    """What ``product_info`` says. Clients look at major and minor: this API is that of oVirt 4.5."""

    full: str
    major: int = 4
    minor: int = 5
    build: int = 0
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    store: Any
    authenticator: Authenticator
    access: Access
    commands: Commands
    passwords: Passwords
    hosts: Hosts
    consoles: Consoles
    version: ProductVersion
    vault: Vault
    # Of the proxy for image transfers, as in https://engine.example.com:54323; empty: there is none.
    transfer_proxy: Callable[[], str] = str
