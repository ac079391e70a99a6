# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The secrets of this installation. Values stay in their files, and are read when they are needed."""

import logging
import threading
from collections.abc import Callable
from typing import Final
from uuid import UUID

from covirt.virtocid.driver.secrets.errors import (
    NoSecretValue,
    NoSuchSecret,
    PrivacyFixed,
    SecretExists,
    SecretIsPrivate,
    SeveralSecrets,
)
from covirt.virtocid.driver.secrets.files import SecretFiles
from covirt.virtocid.driver.secrets.model import SecretConfig
from covirt.virtocid.driver.secrets.secret_xml import usage_word
from covirt.virtocid.events import EventBus
from covirt.wire.constants import SecretEvent, SecretUsage
from covirt.wire.structs import RemoteSecret

log = logging.getLogger(__name__)

# VIR_CONNECT_LIST_SECRETS_*, in pairs: with and without. A pair with no bit set does not filter.
_FILTERS: Final[tuple[tuple[int, int, Callable[[SecretConfig], bool]], ...]] = (
    (1, 2, lambda config: config.ephemeral),
    (4, 8, lambda config: config.private),
)
FILTER_BITS: Final = 1 | 2 | 4 | 8


class Secrets:
    """Thread-safe."""

    def __init__(self, files: SecretFiles, bus: EventBus) -> None:
        self._files = files
        self._bus = bus
        self._lock = threading.Lock()
        self._by_uuid: dict[UUID, SecretConfig] = {}

    def load(self) -> None:
        """Before the first client is served."""
        self._by_uuid = {config.uuid: config for config in self._files.load()}

    def all(self, flags: int = 0) -> tuple[SecretConfig, ...]:
        """Those that libvirt's filters let pass."""
        with self._lock:
            configs = list(self._by_uuid.values())
        return tuple(config for config in configs if _passes(config, flags))

    def by_uuid(self, uuid: UUID) -> SecretConfig:
        """Raises NoSuchSecret."""
        config = self._by_uuid.get(uuid)
        if config is None:
            raise NoSuchSecret(key="uuid", value=uuid)
        return config

    def by_usage(self, usage: int, usage_id: str) -> SecretConfig:
        """Raises NoSuchSecret."""
        with self._lock:
            found = self._used_for(usage, usage_id)
        if found is None:
            raise NoSuchSecret(key="usage", value=usage_id)
        return found

    def named(self, *, uuid: UUID | None, usage_id: str | None) -> SecretConfig:
        """By what a container calls it: its UUID, or the id of its usage, whatever that is.

        Raises NoSuchSecret, SeveralSecrets.
        """
        if uuid is not None:
            return self.by_uuid(uuid)
        found = [config for config in self.all() if config.usage_id == usage_id]
        if len(found) > 1:
            raise SeveralSecrets(usage=usage_id, uuids=", ".join(str(config.uuid) for config in found))
        if not found:
            raise NoSuchSecret(key="usage", value=usage_id)
        return found[0]

    def define(self, config: SecretConfig) -> SecretConfig:
        """Make it, or change what is said of it; its value stays. Raises SecretExists, PrivacyFixed."""
        with self._lock:
            before = self._by_uuid.get(config.uuid)
            self._check(config, before)
            self._files.save(config, before=before)
            self._by_uuid[config.uuid] = config
            self._bus.secret_lifecycle(remote(config), SecretEvent.DEFINED)
        log.info("Secret defined uuid=%s ephemeral=%s private=%s", config.uuid, config.ephemeral, config.private)
        return config

    def undefine(self, uuid: UUID) -> None:
        """Its value goes with it. Containers that run keep what they were given. Raises NoSuchSecret."""
        with self._lock:
            config = self.by_uuid(uuid)
            self._files.remove(config)
            del self._by_uuid[uuid]
            self._bus.secret_lifecycle(remote(config), SecretEvent.UNDEFINED)
        log.info("Secret undefined uuid=%s", uuid)

    def set_value(self, uuid: UUID, value: bytes) -> None:
        """Raises NoSuchSecret."""
        with self._lock:
            config = self.by_uuid(uuid)
            self._files.save_value(config, value)
            self._bus.secret_value_changed(remote(config))
        log.info("Secret has a new value uuid=%s", uuid)

    def told_value(self, uuid: UUID) -> bytes:
        """For a client. Raises NoSuchSecret, SecretIsPrivate, NoSecretValue, BrokenFile."""
        with self._lock:
            config = self.by_uuid(uuid)
            if config.private:
                raise SecretIsPrivate()
            return self._value(config)

    def value(self, config: SecretConfig) -> bytes:
        """For a container. Raises NoSuchSecret, NoSecretValue, BrokenFile."""
        with self._lock:
            return self._value(self.by_uuid(config.uuid))

    # The lock is held.

    def _value(self, config: SecretConfig) -> bytes:
        value = self._files.value(config)
        if value is None:
            raise NoSecretValue(name=config.label)
        return value

    def _used_for(self, usage: int, usage_id: str) -> SecretConfig | None:
        configs = self._by_uuid.values()
        return next((one for one in configs if (one.usage, one.usage_id) == (usage, usage_id)), None)

    def _check(self, config: SecretConfig, before: SecretConfig | None) -> None:
        if before is None:
            other = None if config.usage is SecretUsage.NONE else self._used_for(config.usage, config.usage_id)
            if other is not None:
                raise SecretExists(uuid=other.uuid, usage=_use(other))
            return
        if (config.usage, config.usage_id) != (before.usage, before.usage_id):
            raise SecretExists(uuid=before.uuid, usage=_use(before))
        if before.private and not config.private:
            raise PrivacyFixed(uuid=before.uuid)


def remote(config: SecretConfig) -> RemoteSecret:
    return RemoteSecret(uuid=config.uuid, usage_type=config.usage, usage_id=config.usage_id)


def _use(config: SecretConfig) -> str:
    return config.usage_id or usage_word(config)


def _passes(config: SecretConfig, flags: int) -> bool:
    return all(
        not flags & (with_it | without) or bool(flags & (with_it if has(config) else without))
        for with_it, without, has in _FILTERS
    )
