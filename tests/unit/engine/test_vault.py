# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The vault: what it seals only it opens, and only as the secret it was sealed for."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from covirt.common.files import BrokenFile
from covirt.engine.model.hardware import Initialization
from covirt.engine.model.secret import Secret
from covirt.engine.vault.errors import BrokenSeal, LooseKeys, NoSuchKey
from covirt.engine.vault.sealing import SEALED, open_initialization, seal_initialization
from covirt.engine.vault.vault import Vault

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _secret(vault: Vault, value: bytes = b"pepper") -> Secret:
    sealed = vault.seal("one", value)
    return Secret(id="one", name="spice", created=_NOW, changed=_NOW, key_id=vault.current, sealed=sealed)


def test_a_value_comes_back_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    secret = _secret(Vault.open(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"pepper" not in secret.sealed
    assert "sealed" not in repr(secret)
    assert Vault.open(path).open_secret(secret) == b"pepper"
    assert Vault.open(path).seal("one", b"pepper") != secret.sealed


def test_first_settings_are_sealed_as_texts(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path / "keys.json")
    given = Initialization(host_name="web", root_password="pepper", custom_script="")  # noqa: S106
    sealed = seal_initialization(vault, given)
    assert (sealed.host_name, sealed.custom_script) == ("web", "")
    assert "pepper" not in str(sealed)
    assert seal_initialization(vault, sealed) == sealed
    assert open_initialization(vault, sealed) == given
    Vault.open(tmp_path / "other.json")
    with pytest.raises(NoSuchKey):
        open_initialization(Vault.open(tmp_path / "other.json"), sealed)
    for broken in (sealed.root_password[:-4], f"{SEALED}{vault.current}:!"):
        with pytest.raises(BrokenSeal):
            open_initialization(vault, replace(sealed, root_password=broken))


def test_older_keys_still_open(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    secret = _secret(Vault.open(path))
    keys = json.loads(path.read_text())
    other = tmp_path / "other.json"
    Vault.open(other)
    more = json.loads(other.read_text())
    path.write_text(json.dumps({**keys, "current": more["current"], "keys": {**keys["keys"], **more["keys"]}}))
    vault = Vault.open(path)
    assert vault.current == more["current"]
    assert vault.open_secret(secret) == b"pepper"


def test_what_opens_nothing(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path / "keys.json")
    secret = _secret(vault)
    for broken in (
        replace(secret, id="two"),
        replace(secret, sealed=secret.sealed[:-1]),
        replace(secret, sealed=b""),
    ):
        with pytest.raises(BrokenSeal, match="spice"):
            vault.open_secret(broken)
    with pytest.raises(NoSuchKey, match="spice"):
        Vault.open(tmp_path / "others.json").open_secret(secret)


@pytest.mark.parametrize("keys", ["", '{"version": 1}', '{"version": 1, "current": "a", "keys": {"b": "AAAA"}}'])
def test_keys_that_are_none(tmp_path: Path, keys: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(keys)
    path.chmod(0o600)
    with pytest.raises(BrokenFile):
        Vault.open(path)


def test_keys_that_others_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    Vault.open(path)
    path.chmod(0o640)
    with pytest.raises(LooseKeys):
        Vault.open(path)
