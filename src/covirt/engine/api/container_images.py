# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Container images of storage domains: ``/covirt/containerimages``.

An image is ``id`` (its disk's), ``name``, ``reference``, ``digest``, ``architecture``, ``size_bytes``, ``status``,
``storage_domain_id``, ``volumes`` (paths that it declares), ``used_by`` (names of machines), and alone ``config``.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from starlette.routing import Route

from covirt.engine.api.call import Call
from covirt.engine.api.errors import BadIdentifier, BadValue, Incomplete
from covirt.engine.api.own import Asking, own_route
from covirt.engine.api.params import is_uuid
from covirt.engine.api.reading import referred_object
from covirt.engine.api.services import ApiServices
from covirt.engine.commands.images.import_image import ImportContainerImage
from covirt.engine.commands.images.remove_image import RemoveContainerImage, image_of, users_of
from covirt.engine.model.container_image import ContainerImage
from covirt.engine.model.disk import Disk
from covirt.engine.store.query import ListQuery

PATH: Final = "/covirt/containerimages"
_LONGEST_WAIT_SECONDS: Final = 300.0
_LONGEST_NAME: Final = 255


def container_image_routes(services: ApiServices) -> list[Route]:
    return [
        own_route(services, PATH, {"GET": _list, "POST": _import}),
        own_route(services, f"{PATH}/{{id}}", {"GET": _get, "DELETE": _remove}),
    ]


def _list(asking: Asking) -> tuple[int, object]:
    call = asking.call
    ids = call.session.container_images.ids()
    disks = _seen(call, ids)
    images = call.session.container_images.by_ids(ids)
    used = _users(call, disks)
    return 200, {"container_image": [_told(disk, images[disk.id], used[disk.id]) for disk in disks]}


def _get(asking: Asking) -> tuple[int, object]:
    disk, image = _found(asking)
    return 200, {**_shown(asking.call, disk, image), "config": json.loads(image.config)}


def _import(asking: Asking) -> tuple[int, object]:
    """``reference`` and ``storage_domain`` ({id} or {name}) are required; ``name`` is by default the
    repository's last part with the tag; ``credentials``: the name of a secret with the registry's user name and
    password; ``wait_seconds``: how long the answer may take.

    202 with the job's id while it goes on; 200 for one that was there already.
    """
    body, call = asking.body, asking.call
    reference = _text(body, "reference")
    if not reference or "storage_domain" not in body:
        raise Incomplete(type="ContainerImage", names="reference, storage_domain.id|name", action="add")
    domain = referred_object(call.session.storage_domains, body["storage_domain"], "storage_domain")
    command = ImportContainerImage(
        disk_id=str(uuid.uuid4()),
        volume_id=str(uuid.uuid4()),
        storage_domain_id=domain.id,
        reference=reference,
        name=(_text(body, "name") or _name(reference))[:_LONGEST_NAME],
        created_at=datetime.now(UTC),
        tls_verify=_flag(body, "tls_verify", default=True),
        credentials=_text(body, "credentials"),
    )
    outcome = call.run(command, wait_seconds=_wait_seconds(body))
    if outcome.pending:
        return 202, {"id": command.disk_id, "job": {"id": outcome.job_id}}
    result = outcome.result if isinstance(outcome.result, dict) else {}
    disk, image = image_of(call.session, str(result["id"]))
    reused = bool(result.get("reused"))
    return 200 if reused else 201, {**_shown(call, disk, image), "reused": reused, "job": {"id": outcome.job_id}}


def _remove(asking: Asking) -> tuple[int, object]:
    disk, _ = _found(asking)
    outcome = asking.call.run(RemoveContainerImage(disk_id=disk.id))
    return 202 if outcome.pending else 200, {"job": {"id": outcome.job_id}}


def _found(asking: Asking) -> tuple[Disk, ContainerImage]:
    """Raises BadIdentifier and NoSuchObject, also for what the caller does not see."""
    identifier = asking.names["id"].lower()
    if not is_uuid(identifier):
        raise BadIdentifier(text=identifier[:64])
    session = asking.call.session
    session.disks.get_visible(identifier, asking.call.viewer)
    return image_of(session, identifier)


def _seen(call: Call, ids: Sequence[str]) -> Sequence[Disk]:
    """Those that the caller sees, in the order of the ids."""
    rows = call.session.disks.list(ListQuery(where={"id": tuple(ids)}, visible_to=call.viewer)) if ids else ()
    known = {disk.id: disk for disk in rows}
    return [known[each] for each in ids if each in known]


def _users(call: Call, disks: Sequence[Disk]) -> Mapping[str, list[str]]:
    """As far as the caller sees them."""
    return users_of(call.session, disks, ListQuery(visible_to=call.viewer))


def _shown(call: Call, disk: Disk, image: ContainerImage) -> dict[str, object]:
    return _told(disk, image, _users(call, [disk])[disk.id])


def _told(disk: Disk, image: ContainerImage, users: Sequence[str]) -> dict[str, object]:
    return {
        "id": disk.id,
        "name": disk.name,
        "reference": image.reference,
        "digest": image.digest,
        "architecture": image.architecture,
        "size_bytes": disk.provisioned_size_bytes,
        "status": str(disk.status),
        "storage_domain_id": disk.storage_domain_id,
        "volumes": list(image.volumes),
        "used_by": list(users),
    }


def _name(reference: str) -> str:
    return reference.partition("@")[0].rpartition("/")[2]


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or not value.isprintable():
        raise BadValue(text=str(value)[:40], kind="text", name=name, hint="")
    return value


def _flag(body: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise BadValue(text=str(value)[:40], kind="boolean", name=name, hint="")
    return value


def _wait_seconds(body: Mapping[str, Any]) -> float:
    value = body.get("wait_seconds", 10)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_WAIT_SECONDS:
        raise BadValue(
            text=str(value)[:40],
            kind="number of seconds",
            name="wait_seconds",
            hint=f" (0 to {_LONGEST_WAIT_SECONDS:g})",
        )
    return float(value)
