# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""AES-256-GCM with a key beside the database, so that who has a copy of the database alone has no value.

A value is bound to its secret's id: a row that is copied over another one opens nothing.
"""

import base64
import os
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from covirt.common.files import BrokenFile, read_json, write_json
from covirt.engine.model.secret import Secret
from covirt.engine.vault.errors import BrokenSeal, LooseKeys, NoSuchKey

KEYS_FILE: Final = "engine/secret-keys.json"  # below the state directory
_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_KEY_BITS: Final = 256


class Vault:
    """Threads may share it. New values are sealed with the current key, and each opens with the key it was sealed
    with."""

    def __init__(self, keys: Mapping[str, bytes], *, current: str) -> None:
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = current

    @classmethod
    def open(cls, path: Path) -> Self:
        """The keys in this file, which is made with a new one where there is none. Raises BrokenFile, LooseKeys."""
        if not path.exists():
            key_id, key = _new_key()
            write_json(path, {"current": key_id, "keys": {key_id: key}}, version=_VERSION)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise LooseKeys(path=path)
        read = read_json(path, versions=range(_VERSION, _VERSION + 1))
        try:
            keys = {str(name): base64.b64decode(key, validate=True) for name, key in read["keys"].items()}
            vault = cls(keys, current=str(read["current"]))
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise BrokenFile(path=path, reason="it holds no keys") from error
        if vault.current not in keys:
            raise BrokenFile(path=path, reason="its current key is none of its keys")
        return vault

    @classmethod
    def renew(cls, path: Path) -> None:
        """A new current key; the others stay, for what was sealed with them. Raises BrokenFile, LooseKeys."""
        cls.open(path)
        keys = read_json(path, versions=range(_VERSION, _VERSION + 1))["keys"]
        key_id, key = _new_key()
        write_json(path, {"current": key_id, "keys": {**keys, key_id: key}}, version=_VERSION)

    def seal(self, secret_id: str, value: bytes) -> bytes:
        """With the current key, as what only open_secret() reads."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._keys[self.current].encrypt(nonce, value, secret_id.encode())

    def open_secret(self, secret: Secret) -> bytes:
        """Its value. Raises NoSuchKey, BrokenSeal."""
        return self.open_sealed(secret.sealed, key_id=secret.key_id, bound_to=secret.id, name=secret.name)

    def open_sealed(self, sealed: bytes, *, key_id: str, bound_to: str, name: str) -> bytes:
        """``bound_to``: the id that it was sealed with; ``name``: as errors call it. Raises NoSuchKey, BrokenSeal."""
        key = self._keys.get(key_id)
        if key is None:
            raise NoSuchKey(name=name)
        try:
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to.encode())
        except (InvalidTag, ValueError) as error:
            raise BrokenSeal(name=name) from error


def _new_key() -> tuple[str, str]:
    """Its id, and itself as base64."""
    return str(uuid.uuid4()), base64.b64encode(AESGCM.generate_key(_KEY_BITS)).decode()
