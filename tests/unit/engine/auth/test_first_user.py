# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The first administrator, whenever the first start is cut short."""

from pathlib import Path

import pytest

from covirt.common.process import run
from covirt.engine.auth.first_user import ExposedPassword, ensure_administrator
from covirt.engine.auth.passwords import Passwords
from covirt.engine.model.access import User
from covirt.engine.store.store import Store
from tests.support.engine_objects import NOON, new_id


def _matches(store: Store, passwords: Passwords, password: str) -> bool:
    with store.read() as session:
        user = session.users.find(principal="admin", domain="internal-authz")
        assert user is not None
        return passwords.matches(session.accounts.password_hash(user.id), password)


def test_a_random_password_that_only_its_owner_reads(store: Store, passwords: Passwords, tmp_path: Path) -> None:
    path = tmp_path / "etc/covirt/admin-password"
    assert ensure_administrator(store, passwords, path)
    password = path.read_text().strip()
    assert len(password) == 24
    assert path.stat().st_mode & 0o777 == 0o600
    assert _matches(store, passwords, password)
    with store.read() as session:
        assert session.accounts.is_administrator({user.id for user in session.users.list()})
    assert not ensure_administrator(store, passwords, path)
    assert path.read_text().strip() == password


def test_a_password_that_is_there_counts(store: Store, passwords: Passwords, tmp_path: Path) -> None:
    """Also the one of a start that was killed after it had written the file."""
    path = tmp_path / "admin-password"
    path.touch(mode=0o600)
    path.write_text("chosen\n")
    ensure_administrator(store, passwords, path)
    assert _matches(store, passwords, "chosen")


@pytest.mark.parametrize("text", ["", "half"])
def test_what_is_no_whole_line_is_written_anew(store: Store, passwords: Passwords, tmp_path: Path, text: str) -> None:
    path = tmp_path / "admin-password"
    path.touch(mode=0o600)
    path.write_text(text)
    ensure_administrator(store, passwords, path)
    assert len(path.read_text().strip()) == 24
    assert _matches(store, passwords, path.read_text().strip())


def test_a_password_that_others_can_read_is_refused(store: Store, passwords: Passwords, tmp_path: Path) -> None:
    path = tmp_path / "admin-password"
    path.write_text("chosen\n")
    path.chmod(0o644)
    with pytest.raises(ExposedPassword):
        ensure_administrator(store, passwords, path)
    with store.read() as session:
        assert not session.accounts.has_passwords()


def test_an_administrator_who_was_removed_stays_removed(store: Store, passwords: Passwords, tmp_path: Path) -> None:
    path = tmp_path / "admin-password"
    ensure_administrator(store, passwords, path)
    with store.write() as session:
        admin = session.users.find(principal="admin", domain="internal-authz")
        assert admin is not None
        boss = User(id=new_id(), principal="boss")
        session.users.add(boss)
        session.accounts.set_password_hash(boss.id, "x", now=NOON)
        session.users.remove(admin.id)
    assert not ensure_administrator(store, passwords, path)
    with store.read() as session:
        assert session.users.find(principal="admin") is None


@pytest.mark.root
def test_a_directory_that_the_unit_has_made_read_only(store: Store, passwords: Passwords, tmp_path: Path) -> None:
    """systemd's ProtectSystem=strict with ReadWritePaths= of the one file."""
    path = tmp_path / "admin-password"
    path.touch(mode=0o600)
    for target, options in ((tmp_path, "bind"), (path, "bind"), (tmp_path, "remount,bind,ro")):
        run(["mount", "-o", options, target, target], timeout_seconds=10)
    try:
        assert ensure_administrator(store, passwords, path)
        assert len(path.read_text().strip()) > 10
    finally:
        for target in (path, tmp_path):
            run(["umount", target], timeout_seconds=10)
