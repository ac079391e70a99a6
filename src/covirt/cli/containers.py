# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container from what people type: its image, its volumes, its properties."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from covirt.cli import machines
from covirt.cli.errors import BadOption
from covirt.cli.images import Wanted as WantedImage
from covirt.cli.images import find_image, import_image
from covirt.cli.nouns.machines import exit_code_in
from covirt.client.errors import NoSuchName, RefusedNow
from covirt.client.record import Record
from covirt.client.resources import VMS, Resources

_ROOT: Final = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What was typed; sizes in bytes."""

    image: str
    command: Sequence[str] = ()
    name: str | None = None
    networks: Sequence[str] = ()
    volumes: Sequence[str] = ()
    environment: Sequence[str] = ()
    secrets: Sequence[str] = ()
    restart: str = "never"
    root_disk: int | None = None
    memory: int = 256 << 20
    cpus: int = 1
    runtime: str = "docker"
    cluster: str | None = None
    storage: str | None = None
    tls_verify: bool = True
    credentials: str | None = None


def create_container(resources: Resources, recipe: Recipe) -> machines.Made:
    """The container, down. Its image is imported where it is not there. Raises BadOption, JobFailed and what the
    engine refuses with; then nothing of it is left but the image."""
    volumes = [machines.parse_volume(each) for each in recipe.volumes]
    environment = machines.environment_of(recipe.environment)
    cluster = machines.default_cluster(resources, recipe.cluster)
    image = _image(resources, recipe)
    name = recipe.name or machines.random_name(_stem(image.name))
    _require_mapped(image, volumes)
    properties = {
        "containerType": recipe.runtime,
        "containerImage": image.id,
        "volumeMap": machines.volume_map(name, volumes),
        "containerCommand": machines.words_of(recipe.command),
        "containerEnvironment": environment,
        "containerRestart": recipe.restart,
        "containerSecrets": ",".join(recipe.secrets),
    }
    if recipe.root_disk:
        root = machines.Volume(disk=f"{name}-{_ROOT}", size_bytes=recipe.root_disk)
        volumes.append(root)
        properties["containerRootDisk"] = root.disk
    body = machines.machine_body(name, cluster, recipe.memory, recipe.cpus) | machines.properties_body(properties)
    wanted = machines.Wanted(
        name=name, body=body, volumes=volumes, networks=recipe.networks, storage=recipe.storage or ""
    )
    made = machines.create(resources, wanted)
    return replace(made, vm=resources.find(VMS, name))


def follow_to_its_end(resources: Resources, vm: Record) -> Record:
    """Show what it writes; what is known of it when it has ended."""
    from covirt.cli.terminal import show_log
    from covirt.cli.waiting import STARTED, wait_for_vm

    wait_for_vm(resources, vm.id, (*STARTED, "down"))
    with contextlib.suppress(RefusedNow):  # it has ended already
        show_log(resources, vm, {"follow": True})
    return wait_for_vm(resources, vm.id, ("down",))


def remove_with_its_own(resources: Resources, made: machines.Made) -> None:
    """The container, and the disks that were made for it alone: a volume with a name outlives who uses it."""
    resources.api.delete(f"vms/{made.vm.id}?detach_only=true")
    for disk in made.own_disks:
        resources.api.delete(f"disks/{disk}")


def exit_code_of(vm: Record) -> int:
    """What stop_reason says of it; 1 where it has ended badly without one."""
    reason = vm.text("stop_reason")
    found = exit_code_in(reason)
    return found if found is not None else int(bool(reason))


def _image(resources: Resources, recipe: Recipe) -> Record:
    try:
        return find_image(resources, recipe.image)
    except NoSuchName:
        wanted = WantedImage(
            reference=recipe.image,
            storage=recipe.storage or "",
            tls_verify=recipe.tls_verify,
            credentials=recipe.credentials or "",
        )
        return import_image(resources, wanted)


def _require_mapped(image: Record, volumes: Sequence[machines.Volume]) -> None:
    """Each volume that the image declares has a disk, or is said to be none. Raises BadOption."""
    places = {each.path.rstrip("/") for each in volumes}
    for path in image.texts("volumes"):
        if path.rstrip("/") not in places:
            reason = f"the image keeps data there; add --volume {path}:1GiB for a disk, or --volume {path}:discard"
            raise BadOption(option="--volume", text=path, reason=reason)


def _stem(name: str) -> str:
    return (
        "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name.partition(":")[0]) or "box"
    )
