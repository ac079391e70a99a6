# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets on their way to a host: who may use them, and their values, for the moment of a call."""

import base64
from collections.abc import Iterable

from covirt.engine.auth.permits import Right
from covirt.engine.commands.change import Change
from covirt.engine.commands.secrets.errors import NoSuchSecret, NotForThis, TooMuchSecret
from covirt.engine.commands.secrets.secrets import subject_of_secret
from covirt.engine.model.secret import Secret
from covirt.engine.store.session import Session
from covirt.engine.vault.vault import Vault
from covirt.engine.vms.container_secrets import GivenSecret
from covirt.rpc.jsonrpc import Json

_MODE = "0400"
_MOST_BYTES = 1 << 20  # in one message to the host, which takes four times as much


def require_secrets(change: Change, names: Iterable[str], *, action: str) -> None:
    """Raises NoSuchSecret, and MissingPermit unless who asks may use each of them."""
    for name in sorted(names):
        change.require(Right.USE_SECRET, subject_of_secret(_secret(change.session, name, action).id))


def require_credentials(change: Change, name: str, *, action: str) -> None:
    """As require_secrets, of one that is a user's password. Raises NotForThis."""
    require_secrets(change, (name,), action=action)
    if not _secret(change.session, name, action).username:
        raise NotForThis(action=action, name=name, reason="has no user name, which credentials need")


def credentials_of(session: Session, vault: Vault, name: str, *, action: str) -> dict[str, Json]:
    """As a registry is asked with. They belong into no result and no log."""
    secret = _secret(session, name, action)
    return {"username": secret.username, "password": _text(vault.open_secret(secret), name, action)}


def secrets_of(session: Session, vault: Vault, given: Iterable[GivenSecret], *, action: str) -> list[dict[str, Json]]:
    """As VM.create takes them. They belong into no result and no log.

    Raises NoSuchSecret, NotForThis, TooMuchSecret, and what Vault.open_secret() raises.
    """
    found = [(each, vault.open_secret(_secret(session, each.name, action))) for each in given]
    size_bytes = sum(len(value) for _, value in found)
    if size_bytes > _MOST_BYTES:
        raise TooMuchSecret(action=action, size_bytes=size_bytes, most_bytes=_MOST_BYTES)
    return [_told(value, each, action) for each, value in found]


def _told(value: bytes, given: GivenSecret, action: str) -> dict[str, Json]:
    told: dict[str, Json] = {"name": given.name, "value": base64.b64encode(value).decode()}
    if given.path:
        return {**told, "path": given.path, "mode": _MODE}
    _text(value, given.name, action)
    return {**told, "environment": given.variable}


def _secret(session: Session, name: str, action: str) -> Secret:
    found = session.secrets.find(name=name)
    if found is None:
        raise NoSuchSecret(action=action, name=name)
    return found


def _text(value: bytes, name: str, action: str) -> str:
    """Raises NotForThis."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        # Not from the error, which holds the value.
        raise NotForThis(action=action, name=name, reason="is no text, and can be given as a file only") from None
    return text
