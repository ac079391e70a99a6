# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Container images: found by what people call them, and imported with a bar."""

from dataclasses import dataclass
from typing import Final

from covirt.cli.machines import default_storage
from covirt.cli.waiting import wait_for_job
from covirt.client.errors import NoSuchName, NoSuchThing, SeveralOfOneName
from covirt.client.record import Record
from covirt.client.resources import IMAGES, Resources

_TRANSPORT: Final = "docker://"
_DOCKER_HUB: Final = "docker.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """``storage`` and ``name`` may be empty."""

    reference: str
    storage: str = ""
    name: str = ""
    tls_verify: bool = True
    credentials: str = ""


def full_reference(text: str) -> str:
    """As podman and docker complete it: nginx is docker://docker.io/library/nginx:latest."""
    bare = text.removeprefix(_TRANSPORT)
    head, slash, rest = bare.partition("/")
    if not slash:
        head, rest = _DOCKER_HUB, f"library/{bare}"
    elif not ("." in head or ":" in head or head == "localhost"):
        head, rest = _DOCKER_HUB, bare
    last = rest.rpartition("/")[2]
    return f"{_TRANSPORT}{head}/{rest}" + ("" if ":" in last or "@" in last else ":latest")


def find_image(resources: Resources, text: str) -> Record:
    """By id, name, digest or reference. Raises NoSuchName, SeveralOfOneName."""
    wanted = {text, full_reference(text)}
    found = [
        each
        for each in resources.list(IMAGES)
        if wanted & {each.id, each.name, each.text("digest"), each.text("reference")}
    ]
    if not found:
        raise NoSuchName(noun="image", name=text)
    exact = [each for each in found if each.id == text or each.name == text] or found
    if len(exact) > 1:
        raise SeveralOfOneName(noun="image", name=text, ids=", ".join(each.id for each in exact))
    return exact[0]


def import_image(resources: Resources, wanted: Wanted) -> Record:
    """The image. Raises JobFailed and what the engine refuses with."""
    reference = full_reference(wanted.reference)
    body: dict[str, object] = {"reference": reference, "tls_verify": wanted.tls_verify, "wait_seconds": 0}
    if wanted.name:
        body["name"] = wanted.name
    if wanted.credentials:
        body["credentials"] = wanted.credentials
    body["storage_domain"] = {"name": default_storage(resources, wanted.storage)}
    answer = resources.add(IMAGES.path, body)
    image_id = answer.id
    job_id = answer.text("job.id")
    if job_id:
        wait_for_job(resources, job_id, f"import of {reference.removeprefix(_TRANSPORT)}")
    try:
        return resources.get(IMAGES, image_id)
    except NoSuchThing:  # the domain had one of the same content
        return find_image(resources, reference)
