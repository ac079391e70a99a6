# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The floor of a start: conmon, ``create`` and ``start`` of a runtime, and nothing else.

It runs the config.json of a running domain, word for word but for the paths of its own bundle, whose mounts are made
before, and whose network namespace is empty and owned by the same kind of user namespace.
"""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.oci.bundle import (
    BundleRequest,
    RootLayer,
    namespaces_directory,
    prepare_bundle,
    prepare_bundle_directory,
    remove_bundle,
)
from covirt.oci.idmap import IdMap
from covirt.oci.image.trailer import read_image
from covirt.oci.namespaces import make_namespaces
from covirt.oci.null_device import reclaim_null_device
from covirt.oci.shared_images import SharedImages
from covirt.oci.volume.disks import Disks
from tests.performance.daemon import Host, remove_cgroups
from tests.support.waiting import wait_until

_CGROUP: Final = "covirt-floor"
_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A captured bundle: where it lay, and its config.json."""

    directory: Path
    config: str

    @property
    def first_id(self) -> int:
        """The host's id of the container's root."""
        return int(json.loads(self.config)["linux"]["uidMappings"][0]["hostID"])

    @classmethod
    def of(cls, host: Host, uuid: str) -> "Bundle":
        """That of a running domain."""
        directory = host.daemon.root.run_dir / "virtocid/runs" / uuid / "bundle"
        return cls(directory=directory, config=(directory / "config.json").read_text())


class Floor:
    """Starts one container again and again. No call has a time limit, with which Python would wait by sleeping."""

    def __init__(self, runtime: str, directory: Path) -> None:
        self._runtime = _program(runtime)
        self._conmon = _program("conmon")
        self._directory = directory
        self._bundle = directory / "bundle"
        self._state = directory / "state"
        self._numbers = itertools.count(1)

    def milliseconds(self) -> float:
        """One start, from the call of conmon to the runtime's word that the process runs. Ended before it returns."""
        container = f"floor-{next(self._numbers)}"
        begin = time.perf_counter()
        pid = self._create(container)
        self._call("start", container)
        took = (time.perf_counter() - begin) * 1000
        reclaim_null_device()
        self._call("kill", container, "KILL")
        exit_file = self._directory / "exits" / container
        wait_until(exit_file.exists, timeout_seconds=_SECONDS, what="the exit file")
        self._call("delete", "--force", container)
        exit_file.unlink()
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), timeout_seconds=_SECONDS, what="the container's end")
        return took

    def _create(self, container: str) -> int:
        """conmon tells the pid on its sync pipe (``{"data": PID}``) once the runtime has created the container."""
        sync_read, sync_write = os.pipe()
        argv = [self._conmon, "--api-version=1", "--cid", container, "--cuuid", container, "--name", container]
        argv += ["--runtime", self._runtime, f"--runtime-arg=--root={self._state}", "--bundle", str(self._bundle)]
        argv += ["--exit-dir", str(self._directory / "exits"), "--full-attach", "--stdin", "--leave-stdin-open"]
        argv += ["--container-pidfile", str(self._directory / "pid"), "--log-level=error"]
        argv += ["--log-path", f"k8s-file:{self._directory / 'log'}"]
        with os.fdopen(sync_read, "rb") as answers:
            # It returns as soon as conmon has gone to the background.
            subprocess.run(
                argv,
                env={**os.environ, "_OCI_SYNCPIPE": str(sync_write)},
                cwd=self._bundle,
                pass_fds=(sync_write,),
                stdin=subprocess.DEVNULL,
                check=True,
            )
            os.close(sync_write)
            answer = json.loads(answers.readline())
        assert answer["data"] > 0, answer
        return int(answer["data"])

    def _call(self, *words: str) -> None:
        argv = [self._runtime, f"--root={self._state}", *words]
        subprocess.run(argv, stdin=subprocess.DEVNULL, check=True)


@contextlib.contextmanager
def ready_floor(runtime: str, captured: Bundle, host: Host) -> Iterator[Floor]:
    """A bundle with everything mounted, and the cgroup's parent made, as a start of the daemon finds it."""
    root = host.daemon.root
    directory = root.path / "run/floor" / runtime
    images, disks = SharedImages(directory), Disks(directory, root.state_dir)
    bundle = directory / "bundle"
    config = json.loads(captured.config.replace(str(captured.directory), str(bundle)))
    idmap = _idmap(config)
    for name in ("exits", "state"):
        (directory / name).mkdir(parents=True)
    image = read_image(host.daemon.image)
    prepare_bundle_directory(bundle, idmap)
    namespaces = make_namespaces(idmap, namespaces_directory(bundle))
    try:
        prepare_bundle(
            BundleRequest(
                directory=bundle,
                image=image.path,
                image_digest=image.digest,
                idmap=idmap,
                namespaces=namespaces,
                root_layer=RootLayer(directory=root.path / f"floor-layer-{runtime}", discarded=False),
                hostname=config["hostname"],
            ),
            images=images,
            disks=disks,
        )
        config["linux"]["cgroupsPath"] = f"/{_CGROUP}/{runtime}/container"
        (bundle / "config.json").write_text(json.dumps(config))
        yield Floor(runtime, directory)
    finally:
        remove_bundle(bundle, images=images, disks=disks)
        remove_cgroups(_CGROUP)


def _idmap(config: dict[str, dict[str, list[dict[str, int]]]]) -> IdMap:
    (uids,), (gids,) = config["linux"]["uidMappings"], config["linux"]["gidMappings"]
    return IdMap(uid_first=uids["hostID"], gid_first=gids["hostID"], count=uids["size"])


def _program(name: str) -> str:
    path = shutil.which(name, path=f"/usr/local/sbin:/usr/sbin:/sbin:{os.environ['PATH']}")
    assert path is not None, f"{name} is not installed"
    return path
