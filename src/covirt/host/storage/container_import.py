# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The program ``virtocid-image``, as the host uses it: import a container image into a file, and read one's facts.

It is a program and no library, because only ``oci`` knows what an image is and covirt-host holds no container code.
"""

import base64
import contextlib
import json
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from covirt.common.errors import CommandFailed, InvalidRequest
from covirt.common.files import write_atomic
from covirt.common.process import PIPE, Argument, Child, run, spawn
from covirt.common.root import Root
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.operation import Control
from covirt.host.storage.socket_program import find_program
from covirt.host.storage.unprivileged import dies_with_parent

_INSPECT_SECONDS: Final = 60.0
_END_SECONDS: Final = 60.0  # after a stop it removes what it has written
_STDERR_LIMIT: Final = 4000
_NO_IMAGE: Final = 3  # the exit status that says so of a file that was read
_LINE_LIMIT: Final = 32 << 20  # the last line holds the image's whole configuration
_DOCKER_HUB: Final = "docker.io"
_REGISTRY: Final = "docker://"
# Where each step of an import begins and ends in percent of the whole, by what takes how long.
_STEPS: Final[Mapping[str, tuple[float, float]]] = {
    "resolve": (0, 2), "copy": (2, 60), "unpack": (60, 80), "pack": (80, 95), "publish": (95, 100),
}  # fmt: skip


class ImportFailed(CommandFailed):
    template = "the container image was not imported: {stderr}"


class ImageNotRead(CommandFailed):
    template = "whether a volume holds a container image is not known: status={status}, {stderr}; try again"


class SourceRefused(InvalidRequest):
    template = (
        "{source!r} is no source that a host may import from; give docker://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST], "
        "or a volume that an archive was uploaded to"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How to log in at a registry. The password is in memory and in a file for root in /run, nowhere else."""

    user: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSource:
    """``text`` as virtocid-image takes it, ``name`` as people know it; ``registry`` is the host to log in at, which
    an archive has none of."""

    text: str
    name: str = ""
    registry: str | None = None
    tls_verify: bool = True


class ArchiveKind(StrEnum):
    """What may have been uploaded, in the words of virtocid-image."""

    OCI = "oci-archive"
    DOCKER = "docker-archive"
    ACI = "aci"


def archive_source(path: Path, kind: ArchiveKind, *, reference: str | None, name: str) -> ImportSource:
    """An archive in a volume; ``reference`` chooses one of several images in it."""
    if reference is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,250}", reference):
        raise SourceRefused(source=reference)
    return ImportSource(text=f"{kind}:{path}" + (f":{reference}" if reference else ""), name=name)


def registry_source(url: str, *, tls_verify: bool) -> ImportSource:
    """Raises SourceRefused for what is not in a registry: a client may not name files of the host."""
    reference = url.removeprefix(_REGISTRY)
    if reference == url or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,500}", reference):
        raise SourceRefused(source=url)
    first, slash, _rest = reference.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return ImportSource(text=url, registry=first if has_host else _DOCKER_HUB, tls_verify=tls_verify)


class ContainerImageProgram:
    """Runs virtocid-image with this installation's policy and certificates."""

    def __init__(self, *, root: Root, config: ImagesConfig) -> None:
        self._root = root
        self._config = config
        self._logins = root.run_dir / "host" / "registry"

    def import_to(
        self, output: Path, source: ImportSource, *, login: Credentials | None, job_id: str, control: Control
    ) -> Mapping[str, Any]:
        """Import into a new file; gives the image's facts. Raises ImportFailed."""
        with self._authfile(source, login, job_id) as options:
            argv: list[Argument] = [
                find_program(self._config.container_image_program), "import", source.text,
                "--root", self._root.path, "--output", output, "--progress", "json",
                "--policy", self._config.container_image_policy, *options,
                *self._certificates(source), *([] if source.tls_verify else ["--no-tls-verify"]),
            ]  # fmt: skip
            with spawn(dies_with_parent(argv), stdout=PIPE, stderr=PIPE, own_group=True) as child:
                forget = control.on_stop(lambda: child.signal(signal.SIGTERM))
                try:
                    image = _follow(child, source, control)
                finally:
                    forget()
            control.check()
        return image

    def inspect(self, path: Path) -> Mapping[str, Any] | None:
        """The facts of an image file; None for a file that is none. Raises ImageNotRead."""
        argv: Sequence[Argument] = [
            find_program(self._config.container_image_program), "inspect", path,
            "--root", self._root.path, "--format", "json",
        ]  # fmt: skip
        completed = run(dies_with_parent(argv), timeout_seconds=_INSPECT_SECONDS, check=False)
        if completed.status == _NO_IMAGE:
            return None
        if completed.status != 0:  # storage failed, or it was killed: that says nothing of the file
            raise ImageNotRead(program="virtocid-image", status=completed.status, stderr=completed.complaint)
        found = json.loads(completed.stdout)
        return found if isinstance(found, dict) else None

    def forget_login(self, job_id: str) -> None:
        """Remove what a killed agent may have left."""
        self._login_file(job_id).unlink(missing_ok=True)

    def _login_file(self, job_id: str) -> Path:
        return self._logins / f"{job_id}.json"

    @contextlib.contextmanager
    def _authfile(self, source: ImportSource, login: Credentials | None, job_id: str) -> Iterator[Sequence[Argument]]:
        if login is None or source.registry is None:
            yield []
            return
        self._logins.mkdir(mode=0o700, parents=True, exist_ok=True)
        auth = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        path = self._login_file(job_id)
        write_atomic(path, json.dumps({"auths": {source.registry: {"auth": auth}}}).encode(), durable=False)
        try:
            yield ["--authfile", path]
        finally:
            self.forget_login(job_id)

    def _certificates(self, source: ImportSource) -> Sequence[Argument]:
        if source.registry is None:
            return []
        directory = self._config.registry_certificates / source.registry
        return ["--cert-dir", directory] if directory.is_dir() else []


def _follow(child: Child, source: ImportSource, control: Control) -> Mapping[str, Any]:
    image: Mapping[str, Any] | None = None
    while line := child.stdout.readline(_LINE_LIMIT):
        told = json.loads(line)
        image = told.get("image", image)
        first, last = _STEPS.get(told.get("step"), (0.0, 0.0))
        if last:
            control.progress(first + (last - first) * (told.get("percent") or 0.0) / 100)
    complaint = child.stderr.read().decode(errors="replace").strip()[-_STDERR_LIMIT:]
    status = child.wait(timeout_seconds=_END_SECONDS)
    if status != 0 or image is None:
        control.check()
        complaint = complaint.removeprefix("virtocid-image: ").replace(source.text, source.name or source.text)
        raise ImportFailed(program="virtocid-image", status=status, stderr=complaint)
    return image
