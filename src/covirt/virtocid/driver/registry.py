# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All domains that are known, by UUID, name and id."""

import threading
from uuid import UUID

from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import DomainExists, NoSuchDomain


class Domains:
    """The registry. Reading takes no lock: the table is replaced, never changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table: dict[UUID, Domain] = {}
        self._last_id = 0

    def all(self) -> list[Domain]:
        return list(self._table.values())

    def find(self, uuid: UUID) -> Domain | None:
        return self._table.get(uuid)

    def by_uuid(self, uuid: UUID) -> Domain:
        domain = self._table.get(uuid)
        if domain is None:
            raise NoSuchDomain(key="uuid", value=uuid)
        return domain

    def by_name(self, name: str) -> Domain:
        for domain in self._table.values():
            if domain.name == name:
                return domain
        raise NoSuchDomain(key="name", value=name)

    def by_id(self, domain_id: int) -> Domain:
        for domain in self._table.values():
            if domain.domain_id == domain_id and domain_id > 0:
                return domain
        raise NoSuchDomain(key="id", value=domain_id)

    def add(self, domain: Domain) -> None:
        """Raises DomainExists when another domain has the name."""
        with self._lock:
            self._require_free(domain.name, domain.uuid)
            self._table = {**self._table, domain.uuid: domain}

    def require_free(self, name: str, uuid: UUID) -> None:
        """Raise DomainExists when a domain with another UUID has this name."""
        with self._lock:
            self._require_free(name, uuid)

    def _require_free(self, name: str, uuid: UUID) -> None:
        for other in self._table.values():
            if other.name == name and other.uuid != uuid:
                raise DomainExists(name=name, uuid=other.uuid)

    def remove(self, domain: Domain) -> None:
        with self._lock:
            domain.gone = True
            # By identity: another domain may have taken the UUID since.
            self._table = {uuid: other for uuid, other in self._table.items() if other is not domain}

    def next_id(self) -> int:
        """A positive number that no run of this boot had before."""
        with self._lock:
            self._last_id += 1
            return self._last_id

    def seen_id(self, domain_id: int) -> None:
        """Never give out this id or a lower one again."""
        with self._lock:
            self._last_id = max(self._last_id, domain_id)
