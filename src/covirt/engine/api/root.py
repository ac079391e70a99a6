# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The API's root: what it is, how much there is, and where everything lies."""

from datetime import UTC, datetime
from typing import Any, Final

from covirt.engine.api.call import Call
from covirt.engine.api.node import Link, Node, Value
from covirt.engine.api.registry import Registry
from covirt.engine.api.resources.values import reference
from covirt.engine.model.host import HostStatus
from covirt.engine.model.storage_domain import StorageDomainStatus
from covirt.engine.model.vm import BLANK_TEMPLATE_ID, VmStatus
from covirt.engine.store.counts import count
from covirt.engine.store.query import ListQuery

_RUNNING: Final = tuple(
    each for each in VmStatus if each not in (VmStatus.DOWN, VmStatus.SUSPENDED, VmStatus.IMAGE_LOCKED)
)


def root(call: Call, registry: Registry) -> Node:
    """What ``GET /ovirt-engine/api`` answers."""
    links = []
    for collection in registry.collections:
        links.append(Link(rel=collection.path, path=collection.path))
        if collection.searchable:
            links.append(Link(rel=f"{collection.path}/search", path=f"{collection.path}?search={{query}}"))
    user = Node(type="User", id=call.principal.user_id, path=f"users/{call.principal.user_id}")
    version = call.services.version
    return Node(
        type="Api",
        links=tuple(links),
        values={
            "product_info": {
                "name": "oVirt Engine",
                "vendor": "covirt",
                "version": {
                    "major": version.major,
                    "minor": version.minor,
                    "build": version.build,
                    "revision": version.revision,
                    "full_version": version.full,
                },
            },
            "special_objects": {
                "blank_template": reference("Template", BLANK_TEMPLATE_ID),
                "root_tag": reference("Tag", _root_tag(call)),
            },
            "summary": _summary(call),
            "time": datetime.now(UTC),
            "authenticated_user": user,
            "effective_user": user,
        },
    )


def _root_tag(call: Call) -> str | None:
    tag = call.session.tags.find(parent_id=None)
    return None if tag is None else tag.id


def _summary(call: Call) -> dict[str, Value]:
    """Of all there is, or of what an ordinary user sees."""
    session, viewer = call.session, _viewer(call)

    def counted(repository: Any, **active: object) -> dict[str, Value]:
        total = count(repository, ListQuery(visible_to=viewer))
        where = count(repository, ListQuery(visible_to=viewer, where=active)) if active else total
        return {"active": where, "total": total}

    return {
        "hosts": counted(session.hosts, status=HostStatus.UP),
        "storage_domains": counted(session.storage_domains, status=StorageDomainStatus.ACTIVE),
        "users": counted(session.users),
        "vms": counted(session.vms, status=_RUNNING),
    }


def _viewer(call: Call) -> Any:
    filtered = call.params.filter or not call.principal.admin
    return call.services.access.viewer(call.principal, filtered=filtered)
