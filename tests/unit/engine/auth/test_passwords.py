# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How passwords are kept."""

import threading

import pytest
from argon2.profiles import CHEAPEST

from covirt.engine.auth.errors import LoginsBusy
from covirt.engine.auth.passwords import Passwords, random_password
from tests.support.waiting import wait_until


def test_a_password_is_kept_as_argon2id_with_salt() -> None:
    passwords = Passwords()
    kept = passwords.hash("soup")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,")
    assert kept != passwords.hash("soup")
    assert passwords.matches(kept, "soup")
    assert not passwords.matches(kept, "Soup")
    assert not passwords.is_outdated(kept)


def test_nobody_has_a_password() -> None:
    passwords = Passwords(CHEAPEST)
    assert not passwords.matches(None, "")
    assert not passwords.matches("no hash", "x")


def test_a_weaker_hash_is_outdated() -> None:
    kept = Passwords(CHEAPEST).hash("soup")
    assert Passwords().matches(kept, "soup")
    assert Passwords().is_outdated(kept)


def test_random_passwords_differ() -> None:
    assert len({random_password() for _ in range(100)}) == 100


def test_who_waits_for_a_check_takes_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(CHEAPEST)
    go, inside = threading.Event(), threading.Semaphore(0)

    def slow(*_: object) -> str:
        inside.release()
        assert go.wait(60)
        return "hash"

    monkeypatch.setattr(passwords, "_hasher", type("Slow", (), {"hash": staticmethod(slow)}))
    busy: list[LoginsBusy] = []

    def ask() -> None:
        try:
            passwords.hash("x")
        except LoginsBusy as error:
            busy.append(error)

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        assert inside.acquire(timeout=60)
    wait_until(lambda: len(busy) == 18, timeout_seconds=60, what="those who find no room")
    go.set()
    for thread in threads:
        thread.join()
    assert len(busy) == 18
