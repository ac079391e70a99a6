# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who sends a request: by its token (Bearer), or by user and password in each request (Basic)."""

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from covirt.engine.auth.errors import BadCredentials, Unauthenticated
from covirt.engine.auth.login import Login, principal_of
from covirt.engine.auth.principal import Principal
from covirt.engine.store.store import Store

# A script with Basic sends its password with every request, and argon2 is slow on purpose: so what was right a moment
# ago is right still, as long as the stored hash is the same.
_REMEMBERED: Final = 200
_REMEMBERED_SECONDS: Final = 120.0


class Authenticator:
    """Threads may share it."""

    def __init__(self, store: Store, login: Login) -> None:
        self._store = store
        self._login = login
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[float, str, str]] = OrderedDict()

    def authenticate(self, headers: Mapping[str, str], address: str) -> Principal:
        """``headers`` have lower-case names. Raises Unauthenticated, TooManyFailures, LoginsBusy."""
        scheme, _, value = headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() == "bearer":
            return self._login.by_token(value.strip())[0]
        if scheme.lower() == "basic":
            return self._basic(value.strip(), address)
        raise Unauthenticated

    def _basic(self, value: str, address: str) -> Principal:
        try:
            name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Unauthenticated from error
        if not colon:
            raise Unauthenticated
        mark = hmac.digest(self._key, f"{len(name)}:{name}:{password}".encode(), "sha256")
        return self._remembered(mark) or self._checked(mark, name, password, address)

    def _remembered(self, mark: bytes) -> Principal | None:
        with self._lock:
            until, user_id, kept = self._known.get(mark, (0.0, "", ""))
        if time.monotonic() >= until:
            return None
        with self._store.read() as session:
            user = session.users.find(id=user_id)
            if user is None or session.accounts.password_hash(user_id) != kept:
                return None
            return principal_of(session, user)

    def _checked(self, mark: bytes, name: str, password: str, address: str) -> Principal:
        user = self._login.log_in_once(name, password, address=address)
        with self._store.read() as session:
            kept = session.accounts.password_hash(user.id)
            principal = principal_of(session, user)
        if kept is None:
            raise BadCredentials(user=name)
        with self._lock:
            self._known[mark] = (time.monotonic() + _REMEMBERED_SECONDS, user.id, kept)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return principal
