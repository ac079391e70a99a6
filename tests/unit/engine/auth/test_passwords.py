# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How passwords are kept."""

from argon2.profiles import CHEAPEST

from covirt.engine.auth.passwords import Passwords, random_password


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
