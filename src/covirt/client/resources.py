# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Collections of the API: listed, searched, and found by name or id."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from covirt.client.engine import EngineApi
from covirt.client.errors import NoSuchName, NoSuchThing, SeveralOfOneName
from covirt.client.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """``path`` below the API's root, or one of covirt's own with a slash; ``element``: of a list's answer; ``noun``:
    the command line's word. ``searched``: the engine finds by name."""

    path: str
    element: str
    noun: str
    searched: bool = True
    name_field: str = "name"


VMS: Final = Collection(path="vms", element="vm", noun="vm")
IMAGES: Final = Collection(path="/covirt/containerimages", element="container_image", noun="image", searched=False)
DISKS: Final = Collection(path="disks", element="disk", noun="disk")
STORAGE: Final = Collection(path="storagedomains", element="storage_domain", noun="storage")
NETWORKS: Final = Collection(path="networks", element="network", noun="network")
PROFILES: Final = Collection(path="vnicprofiles", element="vnic_profile", noun="network")
HOSTS: Final = Collection(path="hosts", element="host", noun="host")
CLUSTERS: Final = Collection(path="clusters", element="cluster", noun="cluster")
DATA_CENTERS: Final = Collection(path="datacenters", element="data_center", noun="data center")
TEMPLATES: Final = Collection(path="templates", element="template", noun="template")
USERS: Final = Collection(path="users", element="user", noun="user", searched=False, name_field="user_name")
GROUPS: Final = Collection(path="groups", element="group", noun="group", searched=False)
ROLES: Final = Collection(path="roles", element="role", noun="role", searched=False)
SECRETS: Final = Collection(path="/covirt/secrets", element="secret", noun="secret", searched=False)
EVENTS: Final = Collection(path="events", element="event", noun="event")
JOBS: Final = Collection(path="jobs", element="job", noun="job", searched=False)


@dataclass(frozen=True, slots=True)
class Resources:
    """Of one engine. Each method raises EngineSilent and EngineRefused."""

    api: EngineApi

    def list(
        self, collection: Collection, *, search: str = "", follow: str = "", maximum: int = 0, after: str = ""
    ) -> list[Record]:
        """``after``: the id of an event; only later ones are asked for."""
        asked = {"search": search, "follow": follow, "max": str(maximum) if maximum else "", "from": after}
        query = urlencode({name: value for name, value in asked.items() if value})
        answer = self.api.get(f"{collection.path}?{query}" if query else collection.path)
        return Record(answer).records(collection.element)

    def get(self, collection: Collection, object_id: str, *, follow: str = "") -> Record:
        tail = f"?follow={quote(follow)}" if follow else ""
        return Record(self.api.get(f"{collection.path}/{quote(object_id, safe='')}{tail}"))

    def find(self, collection: Collection, name: str, *, follow: str = "") -> Record:
        """By id or name. Raises NoSuchName, SeveralOfOneName."""
        if is_id(name):
            try:
                return self.get(collection, name, follow=follow)
            except NoSuchThing as error:
                raise NoSuchName(noun=collection.noun, name=name) from error
        # A quoted value is taken as it is, but for the star.
        search = f'name="{name}"' if collection.searched and '"' not in name else ""
        found = [each for each in self.list(collection, search=search) if each.text(collection.name_field) == name]
        if len(found) > 1:
            raise SeveralOfOneName(noun=collection.noun, name=name, ids=", ".join(each.id for each in found))
        if not found:
            raise NoSuchName(noun=collection.noun, name=name)
        return self.get(collection, found[0].id, follow=follow) if follow else found[0]

    def add(self, path: str, body: Mapping[str, Any]) -> Record:
        return Record(self.api.post(path, body))

    def own_events(self) -> Sequence[Record]:
        """What has happened by our requests: it carries their correlation id."""
        return self.list(EVENTS, search=f"correlation_id={self.api.correlation_id}")

    def act(self, collection: Collection, object_id: str, verb: str, **body: Any) -> Record:
        return Record(self.api.post(f"{collection.path}/{object_id}/{verb}", body))


def is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
