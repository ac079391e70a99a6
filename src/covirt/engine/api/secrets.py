# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets: ``/covirt/secrets``, whose values go in and never come out.

A secret is ``id``, ``name``, ``description``, ``username``, ``created``, ``changed`` and ``used_by`` (names of
machines and templates).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.routing import Route

from covirt.engine.api.changes.access import add_permission_on
from covirt.engine.api.errors import Incomplete
from covirt.engine.api.own import Asking, own_route
from covirt.engine.api.params import is_uuid
from covirt.engine.api.services import ApiServices
from covirt.engine.commands.access import permissions
from covirt.engine.commands.secrets.errors import BadSecretValue
from covirt.engine.commands.secrets.secrets import (
    add_secret,
    remove_secret,
    update_secret,
    users_by_secret,
)
from covirt.engine.model.access import ObjectType
from covirt.engine.model.secret import Secret
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.query import ListQuery
from covirt.engine.vault.vault import Vault

PATH: Final = "/covirt/secrets"


def secret_routes(services: ApiServices, vault: Vault) -> list[Route]:
    resources = _Secrets(vault)
    one = f"{PATH}/{{id}}"
    return [
        own_route(services, PATH, {"GET": _list, "POST": resources.add}),
        own_route(services, one, {"GET": _get, "PUT": resources.update, "DELETE": _remove}),
        own_route(services, f"{one}/permissions", {"GET": _permissions, "POST": _add_permission}),
        own_route(services, f"{one}/permissions/{{permission}}", {"DELETE": _remove_permission}),
    ]


class _Secrets:
    """What seals values."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def add(self, asking: Asking) -> tuple[int, object]:
        """``name``, and ``value`` or ``value_base64``, are required."""
        body = asking.body
        value = _value(body, "add")
        if "name" not in body or value is None:
            raise Incomplete(type="Secret", names="name, value|value_base64", action="add")
        with asking.call.changing() as change:
            secret_id = add_secret(
                change,
                self._vault,
                name=_text(body, "name", "add") or "",
                value=value,
                username=_text(body, "username", "add") or "",
                description=_text(body, "description", "add") or "",
            )
        return 201, _shown(asking, asking.call.session.secrets.get(secret_id))

    def update(self, asking: Asking) -> tuple[int, object]:
        """What the body does not name stays; a name does, too."""
        secret, body = _found(asking), asking.body
        if body.get("name", secret.name) != secret.name:
            raise BadSecretValue(action="edit", reason="A secret keeps its name, since containers name it.")
        with asking.call.changing() as change:
            update_secret(
                change,
                self._vault,
                secret.id,
                value=_value(body, "edit"),
                username=_text(body, "username", "edit"),
                description=_text(body, "description", "edit"),
            )
        return 200, _shown(asking, asking.call.session.secrets.get(secret.id))


def _list(asking: Asking) -> tuple[int, object]:
    call = asking.call
    found = call.session.secrets.list(ListQuery(visible_to=call.viewer))
    used = users_by_secret(call.session, ListQuery(visible_to=call.viewer))
    shown = [_told(each, used.get(each.name, ())) for each in sorted(found, key=lambda each: each.name)]
    return 200, {"secret": shown}


def _get(asking: Asking) -> tuple[int, object]:
    return 200, _shown(asking, _found(asking))


def _remove(asking: Asking) -> tuple[int, object]:
    secret = _found(asking)
    with asking.call.changing() as change:
        remove_secret(change, secret.id)
    return 200, {}


def _permissions(asking: Asking) -> tuple[int, object]:
    """Who has which role on the secret itself."""
    secret, session = _found(asking), asking.call.session
    query = ListQuery(where={"object_type": ObjectType.SECRET, "object_id": secret.id}, visible_to=asking.call.viewer)
    rows = session.permissions.list(query)
    roles = session.roles.by_ids({row.role_id for row in rows})
    users = session.users.by_ids({row.user_id for row in rows if row.user_id})
    groups = session.groups.by_ids({row.group_id for row in rows if row.group_id})
    names = {user.id: user.user_name for user in users.values()} | {each.id: each.name for each in groups.values()}
    shown = [
        {
            "id": row.id,
            "role": roles[row.role_id].name,
            "user_id": row.user_id,
            "group_id": row.group_id,
            "name": names.get(row.user_id or row.group_id or "", ""),
        }
        for row in rows
    ]
    return 200, {"permission": shown}


def _add_permission(asking: Asking) -> tuple[int, object]:
    """As oVirt's: ``role``, and ``user`` or ``group``, each {id} or {name} (a user: {user_name})."""
    secret = _found(asking)
    done = add_permission_on(ObjectType.SECRET, asking.call, (secret.id,), dict(asking.body))
    return 201, {"id": done.id}


def _remove_permission(asking: Asking) -> tuple[int, object]:
    secret, wanted = _found(asking), asking.names["permission"].lower()
    with asking.call.changing() as change:
        permission = change.session.permissions.find(id=wanted, object_id=secret.id)
        if permission is None:
            raise NoSuchObject(noun="Permission", id=ascii(wanted)[1:-1][:60])
        permissions.remove_permission(change, permission.id)
    return 200, {}


def _found(asking: Asking) -> Secret:
    """By id or name. Raises NoSuchObject, also for what the caller does not see."""
    wanted, session = asking.names["id"], asking.call.session
    if is_uuid(wanted.lower()):
        return session.secrets.get_visible(wanted.lower(), asking.call.viewer)
    found = session.secrets.list(ListQuery(where={"name": wanted}, visible_to=asking.call.viewer))
    if not found:
        raise NoSuchObject(noun="Secret", id=ascii(wanted)[1:-1][:64])
    return found[0]


def _shown(asking: Asking, secret: Secret) -> dict[str, object]:
    call = asking.call
    return _told(secret, users_by_secret(call.session, ListQuery(visible_to=call.viewer)).get(secret.name, ()))


def _told(secret: Secret, users: Sequence[str]) -> dict[str, object]:
    """Field by field, so that nothing gets out by being added to a secret."""
    return {
        "id": secret.id,
        "name": secret.name,
        "description": secret.description,
        "username": secret.username,
        "created": secret.created.isoformat(timespec="seconds"),
        "changed": secret.changed.isoformat(timespec="seconds"),
        "used_by": list(users),
    }


def _value(body: Mapping[str, Any], action: str) -> bytes | None:
    """Refusals never repeat what was given."""
    if "value" in body and "value_base64" in body:
        raise BadSecretValue(action=action, reason="Its value is given twice, as value and as value_base64.")
    if "value" in body:
        text = body["value"]
        if not isinstance(text, str):
            raise BadSecretValue(action=action, reason="Its value must be a text; bytes are given as value_base64.")
        try:
            return text.encode()
        except UnicodeEncodeError:
            raise BadSecretValue(action=action, reason="Its value is no text of Unicode.") from None
    if "value_base64" in body:
        try:
            return base64.b64decode(body["value_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise BadSecretValue(action=action, reason="Its value_base64 is not base64.") from None
    return None


def _text(body: Mapping[str, Any], name: str, action: str) -> str | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, str) and value.isprintable()):
        raise BadSecretValue(action=action, reason=f"Its {name} must be a printable text.")
    return value
