# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Container images imported by the real program from a real registry and from uploaded archives."""

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from covirt.common.process import PIPE, Argument, run, spawn
from covirt.common.root import Root
from covirt.host.events import Events
from covirt.host.storage.container_images import IMPORT, ContainerImages, import_params
from covirt.host.storage.container_import import ContainerImageProgram, ImageNotRead, ImportSource
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.images import Images
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.socket_program import find_program
from covirt.host.storage.unprivileged import STORAGE_GID, STORAGE_UID
from covirt.host.verbs.container_image import ContainerImageVerbs
from covirt.host.verbs.dispatch import CallContext, Dispatcher, VerbClass
from covirt.host.verbs.faults import described
from covirt.host.verbs.task import JobVerbs
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.errors import CallRefused
from tests.support.images import write_policy
from tests.support.plain_volumes import PlainVolumes
from tests.support.registry import Registry
from tests.support.roots import new_root
from tests.support.waiting import wait_until

pytestmark = pytest.mark.root

_CONTEXT = CallContext(client="test")
_WRONG = "hunter2"


class Agent:
    """The verbs of one life of the agent on one storage domain."""

    def __init__(self, root: Root, volumes: PlainVolumes, certificates: Path) -> None:
        self.volumes = volumes
        self.root = root
        config = ImagesConfig(
            container_image_policy=root.path / "policy.json", registry_certificates=certificates, imageio_port=0
        )
        self.parts = Images.new(root=root, config=config, events=Events(), describe=described, tls=None)
        program = ContainerImageProgram(root=root, config=config)
        images = ContainerImages(volumes=volumes, program=program)
        self.parts.jobs.add_kinds(images.kinds())
        verbs: list[VerbClass] = [
            ContainerImageVerbs(images=images, volumes=volumes, jobs=self.parts.jobs),
            JobVerbs(self.parts.jobs),
        ]
        self._dispatcher = Dispatcher(verbs)
        self._dispatcher.set_ready()
        self.parts.start()

    def call(self, method: str, **params: Any) -> Any:
        return cast(Any, self._dispatcher.call(method, params, _CONTEXT))

    def import_(self, ref: VolumeRef, source: dict[str, Any], *, description: str = "") -> str:
        job_id = str(uuid4())
        self.call("ContainerImage.import", jobID=job_id, source=source, description=description, **ids(ref))
        return job_id

    def ended(self, job_id: str) -> dict[str, Any]:
        wait_until(
            lambda: self.call("Host.getJobs")[job_id]["status"] in ("done", "failed", "aborted"), timeout_seconds=60
        )
        return cast(dict[str, Any], self.call("Host.getJobs")[job_id])

    def new_file(self) -> Path:
        """Where a volume may be written."""
        ref = self.volumes.new_ref()
        image = self.volumes.directory / ref.image_id
        image.mkdir()
        return image / ref.volume_id

    def in_domain(self) -> list[str]:
        return sorted(os.listdir(self.volumes.directory))


def ids(ref: VolumeRef) -> dict[str, str]:
    return {
        "storagepoolID": ref.pool_id,
        "storagedomainID": ref.domain_id,
        "imageID": ref.image_id,
        "volumeID": ref.volume_id,
    }


@pytest.fixture(scope="module", name="registry")
def registry_fixture(secure_registry: Registry, busybox_layout: Path) -> Registry:
    secure_registry.push(busybox_layout, "busybox", "library/busybox:1")
    return secure_registry


@pytest.fixture(name="agent")
def agent_fixture(registry: Registry) -> Iterator[Agent]:
    with new_root() as root:
        images = root.path / "images"
        images.mkdir()
        os.chown(images, STORAGE_UID, STORAGE_GID)
        write_policy(root.path / "policy.json", {"type": "insecureAcceptAnything"})
        certificates = root.path / "certs.d"
        certificates.mkdir()
        assert registry.cert_dir is not None
        (certificates / registry.host).symlink_to(registry.cert_dir)
        agent = Agent(root, PlainVolumes(images), certificates)
        yield agent
        agent.parts.stop()


def from_registry(registry: Registry, **changes: Any) -> dict[str, Any]:
    return {
        "url": registry.reference("library/busybox:1"),
        "username": registry.user,
        "password": registry.password,
        **changes,
    }


def test_from_a_registry_to_its_removal(agent: Agent, registry: Registry) -> None:
    ref = agent.volumes.new_ref()
    job = agent.ended(agent.import_(ref, from_registry(registry), description="busybox"))
    assert (job["status"], job["progress"]) == ("done", 100)
    assert agent.in_domain() == [ref.image_id]
    assert os.listdir(agent.volumes.directory / ref.image_id) == [ref.volume_id]
    path = agent.volumes.volume(ref).path
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (STORAGE_UID, STORAGE_GID, 0o440)
    [shown] = agent.call("ContainerImage.list", storagepoolID=ref.pool_id, storagedomainID=ref.domain_id)
    assert shown["digest"].startswith("sha256:")
    assert (shown["imageID"], shown["description"], shown["usedBy"]) == (ref.image_id, "busybox", [])
    assert shown["size"] == found.st_size
    agent.volumes.prepare(ref, user="some vm")
    whole = agent.call("ContainerImage.inspect", **ids(ref))
    assert whole["config"]["command"] == ["/bin/sh"]
    assert whole["usedBy"] == ["some vm"]
    with pytest.raises(CallRefused, match="some vm"):
        agent.call("ContainerImage.remove", jobID=str(uuid4()), **ids(ref))
    agent.volumes.teardown(ref, user="some vm")
    job_id = str(uuid4())
    agent.call("ContainerImage.remove", jobID=job_id, **ids(ref))
    assert agent.ended(job_id)["status"] == "done"
    assert agent.in_domain() == []


def test_the_password_is_kept_nowhere(agent: Agent, registry: Registry) -> None:
    job = agent.ended(agent.import_(agent.volumes.new_ref(), from_registry(registry, password=_WRONG)))
    assert job["status"] == "failed"
    assert agent.in_domain() == []
    kept = [path for path in agent.root.path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert kept
    for path in kept:
        assert _WRONG.encode() not in path.read_bytes(), path
    assert not list((agent.root.run_dir / "host" / "registry").iterdir())
    assert _WRONG not in json.dumps(job)


def test_an_image_is_known_by_its_file(agent: Agent, registry: Registry) -> None:
    """Another life of the agent asks the program; a real disc is none."""
    ref = agent.volumes.new_ref()
    agent.ended(agent.import_(ref, from_registry(registry)))
    path = agent.new_file()
    path.write_bytes(b"CD001" * 1000)
    disc = agent.volumes.add(path, ImageFormat.RAW, disk_type="ISOF")
    following = Agent(agent.root, agent.volumes, agent.root.path / "certs.d")
    try:
        [shown] = following.call("ContainerImage.list", storagepoolID=ref.pool_id, storagedomainID=ref.domain_id)
        assert shown["architecture"] == "amd64"
        with pytest.raises(CallRefused, match="no container image"):
            following.call("ContainerImage.inspect", **ids(disc.ref))
    finally:
        following.parts.stop()


def test_an_image_that_cannot_be_read_just_now_is_not_forgotten(agent: Agent, registry: Registry) -> None:
    """Memory or storage may fail the program for a moment; that makes no image another disc for ever."""
    ref = agent.volumes.new_ref()
    agent.ended(agent.import_(ref, from_registry(registry)))
    broken = agent.root.path / "broken-image"
    broken.write_text("#!/bin/sh\necho 'virtocid-image: v: Input/output error' >&2; exit 1\n")
    broken.chmod(0o755)
    config = ImagesConfig(container_image_program=str(broken))
    images = ContainerImages(volumes=agent.volumes, program=ContainerImageProgram(root=agent.root, config=config))
    assert images.list(ref.domain_id) == []
    with pytest.raises(ImageNotRead, match="Input/output error"):
        images.get(ref)
    broken.write_text(f'#!/bin/sh\nexec {find_program("virtocid-image")} "$@"\n')
    assert images.get(ref).facts["digest"].startswith("sha256:")
    assert [image.volume.ref for image in images.list(ref.domain_id)] == [ref]


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_from_an_uploaded_archive(agent: Agent, busybox_layout: Path, kind: str) -> None:
    upload = agent.new_file()
    run(
        ["skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{busybox_layout}:busybox", f"{kind}:{upload}"],
        timeout_seconds=60,
    )
    os.truncate(upload, upload.stat().st_size + 65536)  # a volume is longer than what was uploaded to it
    archive = agent.volumes.add(upload, ImageFormat.RAW)
    ref = agent.volumes.new_ref()
    job = agent.ended(agent.import_(ref, {**ids(archive.ref), "kind": kind}))
    assert job["status"] == "done", job
    assert agent.call("ContainerImage.inspect", **ids(ref))["config"]["command"] == ["/bin/sh"]
    assert agent.volumes.users(archive.ref) == frozenset()


def test_an_import_that_is_stopped_leaves_nothing(agent: Agent, registry: Registry) -> None:
    job_id = agent.import_(agent.volumes.new_ref(), from_registry(registry))
    agent.call("Job.abort", jobID=job_id)
    assert agent.ended(job_id)["status"] == "aborted"
    assert agent.in_domain() == []


def test_a_broken_archive_is_told(agent: Agent) -> None:
    upload = agent.new_file()
    upload.write_bytes(b"\0" * 65536)
    archive = agent.volumes.add(upload, ImageFormat.RAW)
    job = agent.ended(agent.import_(agent.volumes.new_ref(), {**ids(archive.ref), "kind": "oci-archive"}))
    assert job["status"] == "failed"
    assert f"was not imported: volume {archive.ref.volume_id}: not a readable" in job["error"]["message"]
    assert agent.in_domain() == [archive.ref.image_id]
    assert agent.volumes.users(archive.ref) == frozenset()


@pytest.mark.parametrize(
    "url",
    ["oci:/etc", "docker-archive:/etc/shadow", "docker://", "docker://a b", "docker://host/x\n--root=/", "dir:/"],
)
def test_files_of_the_host_are_no_source(agent: Agent, url: str) -> None:
    with pytest.raises(CallRefused, match="no source"):
        agent.import_(agent.volumes.new_ref(), {"url": url})


def test_what_is_there_is_never_overwritten(agent: Agent, registry: Registry) -> None:
    ref = agent.volumes.new_ref()
    agent.ended(agent.import_(ref, from_registry(registry)))
    with pytest.raises(CallRefused, match="exists already"):
        agent.import_(ref, from_registry(registry))
    # Two at once: the later one fails, and does not take the other's image back.
    source = ImportSource(text=registry.reference("library/busybox:1"), registry=registry.host)
    job_id = str(uuid4())
    params = import_params(job_id=job_id, target=ref, source=source, description="")
    agent.parts.jobs.submit(IMPORT, params, job_id=job_id)
    assert agent.ended(job_id)["status"] == "failed"
    assert agent.in_domain() == [ref.image_id]


@pytest.mark.parametrize("published", [False, True])
def test_after_a_kill_the_import_is_taken_back(agent: Agent, registry: Registry, published: bool) -> None:
    ref, job_id = agent.volumes.new_ref(), str(uuid4())
    source = ImportSource(text="docker://localhost/gone")
    params = import_params(job_id=job_id, target=ref, source=source, description="")
    directory = agent.volumes.directory / (ref.image_id if published else params["stage"])
    directory.mkdir()
    (directory / ref.volume_id).write_bytes(b"half")
    if published:
        (directory / f".{job_id}").touch()
    login = agent.root.run_dir / "host" / "registry" / f"{job_id}.json"
    login.parent.mkdir(parents=True, exist_ok=True)
    login.write_text("{}")
    record = {
        "version": 1, "id": job_id, "kind": IMPORT, "params": params, "state": "running", "stop_asked": False,
        "code": 0, "message": "", "undone": None, "ended_at": None,
    }  # fmt: skip
    (agent.root.state_dir / "host" / "jobs" / f"{job_id}.json").write_text(json.dumps(record))
    agent.volumes.gone = True
    following = Agent(agent.root, agent.volumes, agent.root.path / "certs.d")
    try:
        wait_until(lambda: following.call("Host.getJobs")[job_id]["status"] == "running")
        agent.volumes.gone = False

        def resumed() -> bool:
            following.parts.resume()
            return bool(following.call("Host.getJobs")[job_id]["status"] == "failed")

        wait_until(resumed)
    finally:
        following.parts.stop()
    assert agent.in_domain() == []
    assert not login.exists()


def test_records_hold_no_more_than_they_say(registry: Registry) -> None:
    ref = VolumeRef(pool_id="p", domain_id="d", image_id="i", volume_id="v")
    params = import_params(job_id="j", target=ref, source=ImportSource(text="docker://h/x"), description="x")
    assert params["target"] == asdict(ref)
    assert set(params) == {"job_id", "stage", "target", "source", "description"}


def test_a_killed_agent_leaves_no_program_and_no_image(agent: Agent) -> None:
    """The registry takes the connection and says nothing, so that the import runs when the agent is killed."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"docker://127.0.0.1:{silent.getsockname()[1]}/library/busybox:1"
        argv: list[Argument] = [
            sys.executable,
            "-m",
            "tests.support.image_agent",
            agent.root.path,
            agent.root.path / "policy.json",
            url,
        ]
        with spawn(argv, stdout=PIPE) as child:
            job_id = child.stdout.readline().decode().strip()
            silent.settimeout(30)
            connection, _address = silent.accept()
            [stage] = agent.in_domain()
            assert not fnmatch(stage, "*-*-*-*-*"), "Vdsm takes it for an image"
            child.signal(signal.SIGKILL)
        with connection, contextlib.suppress(ConnectionResetError):
            while connection.recv(1 << 16):  # until whoever asked has ended
                pass
    following = Agent(agent.root, agent.volumes, agent.root.path / "certs.d")
    try:
        job = following.ended(job_id)
        assert "covirt-host ended" in job["error"]["message"]
    finally:
        following.parts.stop()
    assert agent.in_domain() == []
