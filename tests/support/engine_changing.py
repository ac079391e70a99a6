# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An installation that tests of changes may change: what a new engine has, one of everything, an administrator."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from covirt.engine.auth.seed import seed_access
from covirt.engine.model.access import SYSTEM, ObjectType, Permission, Subject
from covirt.engine.model.event import Event
from covirt.engine.store.query import ListQuery
from covirt.engine.store.seed import seed
from covirt.engine.store.store import Store
from tests.support.engine_api import api_app, api_client
from tests.support.engine_samples import ADMIN_ID, USER_ID, fill
from tests.support.roots import new_directory

SUPER_USER: Final = "00000000-0000-0000-0000-000000000001"


def install(store: Store) -> None:
    """Into an empty database."""
    with store.write() as session:
        seed(session)
        seed_access(session)
    fill(store)
    give(store, ADMIN_ID, SUPER_USER)


def give(store: Store, user_id: str, role_id: str, kind: ObjectType = ObjectType.SYSTEM, object_id: str = "") -> str:
    """The permission's id."""
    subject = SYSTEM if kind is ObjectType.SYSTEM else Subject(type=kind, id=object_id)
    permission = Permission(id=str(uuid4()), role_id=role_id, user_id=user_id, subject=subject)
    with store.write() as session:
        session.permissions.add(permission)
    return permission.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks the API in JSON, and wants the status to be as told."""

    client: TestClient
    filtered: bool = False

    def get(self, path: str, status: int = 200) -> Any:
        return self._asked("GET", path, None, status)

    def names(self, path: str) -> list[str]:
        """Of all members."""
        return [each["name"] for members in self.get(path).values() for each in members]

    def post(self, path: str, body: Mapping[str, Any], status: int = 201) -> Any:
        return self._asked("POST", path, body, status)

    def put(self, path: str, body: Mapping[str, Any], status: int = 200) -> Any:
        return self._asked("PUT", path, body, status)

    def delete(self, path: str, status: int = 200) -> Any:
        return self._asked("DELETE", path, None, status)

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None, status: int) -> Any:
        headers = {"Accept": "application/json", **({"Filter": "true"} if self.filtered else {})}
        answer = self.client.request(method, path, json=body, headers=headers)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        told = answer.json() if answer.content else {}
        return told.get("detail", told)


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """A database with everything, to be copied."""
    with new_directory() as path:
        store = Store.open(f"sqlite:///{path}/engine.db")
        install(store)
        store.close()
        yield path / "engine.db"


@pytest.fixture
def store(installed: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copyfile(installed, tmp_path / "engine.db")
    opened = Store.open(f"sqlite:///{tmp_path}/engine.db")
    yield opened
    opened.close()


@pytest.fixture
def admin(store: Store) -> Asker:
    return Asker(client=api_client(api_app(store)))


@pytest.fixture
def cook(store: Store) -> Asker:
    """A user who administers nothing, and has a role without much on one machine."""
    return Asker(client=api_client(api_app(store), user="user"), filtered=True)


@pytest.fixture
def cook_id() -> str:
    return USER_ID


def events(store: Store, number: int) -> Sequence[Event]:
    """The latest ones, latest first."""
    with store.read() as session:
        return session.events.list(ListQuery(maximum=number))
