# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A login service on a database of its own, with a clock that the test moves."""

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2.profiles import CHEAPEST

from covirt.engine.auth.authenticator import Authenticator
from covirt.engine.auth.login import Login
from covirt.engine.auth.passwords import Passwords
from covirt.engine.auth.seed import seed_access
from covirt.engine.auth.tokens import Tokens
from covirt.engine.model.access import User
from covirt.engine.model.event import Event
from covirt.engine.store.store import Store

ADDRESS = "192.0.2.7"
PASSWORD = "right-horse"  # noqa: S105 - of a test
IDLE, LIFETIME = timedelta(minutes=30), timedelta(hours=8)


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, **words: float) -> None:
        self.now += timedelta(**words)


@dataclass
class Service:
    """``user`` is cook@internal."""

    store: Store
    tokens: Tokens
    login: Login
    authenticator: Authenticator
    clock: Clock
    user: User

    def log_in(self, password: str = PASSWORD, *, address: str = ADDRESS) -> str:
        """The token."""
        return self.login.log_in("cook@internal", password, scope="ovirt-app-api", address=address).token

    def events(self) -> list[Event]:
        with self.store.read() as session:
            return sorted(session.events.list(), key=lambda event: event.id)

    def change_user(self, user: User) -> None:
        with self.store.write() as session:
            session.users.update(user)


@pytest.fixture(scope="session")
def passwords() -> Passwords:
    """Quick ones; the real cost is test_passwords.py's subject."""
    return Passwords(CHEAPEST)


@pytest.fixture(scope="session")
def kept_password(passwords: Passwords) -> str:
    return passwords.hash(PASSWORD)


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With tables and roles, to copy: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("database") / "engine.db"
    store = Store.open(f"sqlite:///{path}")
    with store.write() as session:
        seed_access(session)
    store.close()
    return path


@pytest.fixture
def store(made_database: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(made_database, tmp_path / "engine.db")
    opened = Store.open(f"sqlite:///{tmp_path}/engine.db")
    yield opened
    opened.close()


@pytest.fixture
def service(store: Store, passwords: Passwords, kept_password: str) -> Service:
    clock = Clock()
    user = User(id=str(uuid.uuid4()), name="cook", principal="cook")
    with store.write() as session:
        session.users.add(user)
        session.accounts.set_password_hash(user.id, kept_password, now=clock())
    tokens = Tokens(store, lifetime=LIFETIME, idle=IDLE)
    login = Login(store, tokens=tokens, passwords=passwords, clock=clock)
    return Service(store, tokens, login, Authenticator(store, login), clock, user)
