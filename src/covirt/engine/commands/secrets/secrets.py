# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Adding, changing and removing secrets."""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from covirt.common.errors import Unavailable
from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.permissions import give_creator
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.forget import forget
from covirt.engine.commands.secrets.errors import BadSecretName, BadSecretValue, SecretInUse, SecretNameInUse
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.hardware import Hardware, VmKind
from covirt.engine.model.secret import Secret
from covirt.engine.store.query import ALL, ListQuery, Viewer
from covirt.engine.store.session import Session
from covirt.engine.vault.sealing import reseal_initialization
from covirt.engine.vault.vault import Vault
from covirt.engine.vms.container_secrets import SECRET_NAME, secret_names
from covirt.engine.vms.container_settings import Property

log = logging.getLogger(__name__)

OWNER_ID: Final = "c0417000-0000-0000-0000-000000000003"  # of the role SecretOwner
LARGEST_BYTES: Final = 64 * 1024  # libvirt's limit
_LONGEST_USERNAME: Final = 255
_LONGEST_DESCRIPTION: Final = 4096
_ADDED: Final = AuditMessage(code=15020, text="Secret {name} was added by {user}.")
_CHANGED: Final = AuditMessage(code=15021, text="Secret {name} was changed by {user}{what}.")
_REMOVED: Final = AuditMessage(code=15022, text="Secret {name} was removed by {user}.")


def subject_of_secret(secret_id: str) -> Subject:
    return Subject(type=ObjectType.SECRET, id=secret_id)


def add_secret(
    change: Change, vault: Vault, *, name: str, value: bytes, username: str = "", description: str = ""
) -> str:
    """The new id; who adds it owns it."""
    change.require(Right.CREATE_SECRET)
    if not SECRET_NAME.fullmatch(name):
        raise BadSecretName
    if change.session.secrets.find(name=name) is not None:
        raise SecretNameInUse(name=name)
    _check(value, username, description, "add")
    secret_id, now = str(uuid.uuid4()), datetime.now(UTC)
    change.session.secrets.add(
        Secret(
            id=secret_id,
            name=name,
            description=description,
            username=username,
            created=now,
            changed=now,
            key_id=vault.current,
            sealed=vault.seal(secret_id, value),
        )
    )
    give_creator(change, OWNER_ID, subject_of_secret(secret_id))
    change.tell(_ADDED, name=name)
    return secret_id


def update_secret(
    change: Change,
    vault: Vault,
    secret_id: str,
    *,
    value: bytes | None = None,
    username: str | None = None,
    description: str | None = None,
) -> None:
    """What is None stays. Containers are given a new value at their next start."""
    change.require(Right.EDIT_SECRET, subject_of_secret(secret_id))
    secret = change.session.secrets.get(secret_id)
    username = secret.username if username is None else username
    description = secret.description if description is None else description
    _check(value, username, description, "edit")
    changed = replace(secret, username=username, description=description, changed=datetime.now(UTC))
    if value is not None:
        changed = replace(changed, key_id=vault.current, sealed=vault.seal(secret_id, value))
    change.session.secrets.update(changed)
    change.tell(_CHANGED, name=secret.name, what="" if value is None else ", who gave it a new value")


def remove_secret(change: Change, secret_id: str) -> None:
    """Raises SecretInUse."""
    change.require(Right.EDIT_SECRET, subject_of_secret(secret_id))
    secret = change.session.secrets.get(secret_id)
    if users := users_by_secret(change.session).get(secret.name):
        viewer = None if change.asked.user_id is None else Viewer(principal_ids=change.asked.principal_ids)
        seen = users_by_secret(change.session, ListQuery(visible_to=viewer)).get(secret.name, [])
        hidden = [f"{len(users) - len(seen)} that you do not see"] if len(seen) < len(users) else []
        raise SecretInUse(name=secret.name, users=", ".join([*seen, *hidden]))
    change.session.secrets.remove(secret_id)
    forget(change.session, secret_id)
    change.tell(_REMOVED, name=secret.name)


def reseal(session: Session, vault: Vault) -> None:
    """With the current key, what is sealed with another one; what cannot be opened stays as it is.

    What operations that are under way were asked is opened with the key that it has.
    """
    for secret in session.secrets.list():
        if secret.key_id == vault.current:
            continue
        try:
            sealed = vault.seal(secret.id, vault.open_secret(secret))
        except Unavailable as error:
            log.warning("%s", error)
        else:
            session.secrets.update(replace(secret, key_id=vault.current, sealed=sealed))
    for vm in session.vms.list():
        if (hardware := _resealed(vm.hardware, vault, vm.name)) != vm.hardware:
            session.vms.update(replace(vm, hardware=hardware))
    for template in session.templates.list():
        if (hardware := _resealed(template.hardware, vault, template.name)) != template.hardware:
            session.templates.update(replace(template, hardware=hardware))


def _resealed(hardware: Hardware, vault: Vault, name: str) -> Hardware:
    if hardware.initialization is None:
        return hardware
    try:
        return replace(hardware, initialization=reseal_initialization(vault, hardware.initialization))
    except Unavailable as error:
        log.warning("First settings cannot be sealed anew name=%s reason=%s", name, error)
        return hardware


def users_by_secret(session: Session, query: ListQuery = ALL) -> Mapping[str, list[str]]:
    """The names of the machines and templates that name a secret, by the secret's name."""
    found: dict[str, set[str]] = {}
    query = replace(query, where={**query.where, "kind": VmKind.CONTAINER})
    machines = [(vm.name, vm.hardware) for vm in session.vms.list(query)]
    templates = [(template.name, template.hardware) for template in session.templates.list(query)]
    for user, hardware in (*machines, *templates):
        for name in names_in(hardware):
            found.setdefault(name, set()).add(user)
    return {name: sorted(users) for name, users in found.items()}


def names_in(hardware: Hardware) -> set[str]:
    """The secrets that a machine's custom property names."""
    texts = [each.value for each in hardware.custom_properties if each.name == Property.SECRETS]
    return {name for text in texts for name in secret_names(text)}


def _check(value: bytes | None, username: str, description: str, action: str) -> None:
    if value is not None and not 1 <= len(value) <= LARGEST_BYTES:
        reason = f"Its value has {len(value)} bytes, and must have 1 to {LARGEST_BYTES}."
        raise BadSecretValue(action=action, reason=reason)
    if len(username) > _LONGEST_USERNAME or len(description) > _LONGEST_DESCRIPTION:
        raise BadSecretValue(action=action, reason="Its user name or its description is too long.")
