# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Real containers for isolation tests: bundle and spec are the product's, the runtime is run directly."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from covirt.common.process import Completed, run
from covirt.oci.bundle import (
    Bundle,
    BundleRequest,
    RootLayer,
    namespaces_directory,
    prepare_bundle,
    prepare_bundle_directory,
    remove_bundle,
    write_config,
)
from covirt.oci.capabilities import DEFAULT_CAPABILITIES
from covirt.oci.idmap import IdMap
from covirt.oci.namespaces import Namespaces, make_namespaces
from covirt.oci.seccomp import load_profile
from covirt.oci.shared_images import SharedImages
from covirt.oci.spec import Mount, SpecRequest, build_spec
from covirt.oci.users import resolve_user
from covirt.oci.volume.disks import Disks
from covirt.oci.volume.views import AnyVolume
from tests.support.oci_layout import unpack_busybox

IDMAP: Final = IdMap(uid_first=1_000_000, gid_first=2_000_000, count=65_536)
_PYTHON: Final = "/usr/bin/python3"
_SCRIPT: Final = Path(__file__).with_name("breakout.py")
_SECONDS: Final = 60.0
_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a container ended: its status and its words (stdout, then stderr)."""

    status: int
    text: str

    @property
    def refused(self) -> bool:
        """An attempt of breakout.py that the kernel refused."""
        return self.status == 3


def pack_image(directory: Path, change: Callable[[Path], None] = lambda _: None) -> Path:
    """The busybox image as a raw file; ``change`` may alter its tree first."""
    tree = directory / "tree"
    rootfs = unpack_busybox(tree / "rootfs")
    for name in ("lib", "lib64"):  # where the host's /usr is shown, for breakout.py
        (rootfs / name).symlink_to(f"usr/{name}")
    change(rootfs)
    (tree / "image.json").write_text("{}")
    image = directory / "image.raw"
    run(["mkfs.erofs", image, tree], timeout_seconds=60)
    run(["rm", "-r", tree], timeout_seconds=60)
    return image


class Boxes:
    """Runs containers of one image with one runtime below one run directory."""

    def __init__(self, directory: Path, image: Path, runtime: str) -> None:
        self.directory = directory
        self.image = image
        self.runtime = runtime
        self.run_dir = directory / "run"
        self.run_dir.mkdir(mode=0o711)
        self.images = SharedImages(self.run_dir)
        self.disks = Disks(self.run_dir, directory / "lib")

    @contextmanager
    def bundle(
        self,
        *,
        layer: RootLayer | None = None,
        volumes: tuple[AnyVolume, ...] = (),
        no_new_privileges: bool = True,
        hostname: str = "box",
    ) -> Iterator[tuple[Bundle, Namespaces]]:
        """A prepared bundle, removed afterwards."""
        directory = self.run_dir / "domains" / str(next(_numbers))
        request = BundleRequest(
            directory=directory,
            image=self.image,
            image_digest="sha256:" + "5" * 64,
            idmap=IDMAP,
            namespaces=Namespaces(
                user=namespaces_directory(directory) / "user", network=namespaces_directory(directory) / "network"
            ),
            root_layer=layer or RootLayer(tmpfs_size_bytes=16 << 20),
            hostname=hostname,
            nameservers=("192.0.2.53",),
            volumes=volumes,
            no_new_privileges=no_new_privileges,
        )
        try:
            prepare_bundle_directory(directory, IDMAP)
            namespaces = make_namespaces(IDMAP, namespaces_directory(directory))
            yield prepare_bundle(request, images=self.images, disks=self.disks), namespaces
        finally:
            remove_bundle(directory, images=self.images, disks=self.disks)

    def spec_request(self, bundle: Bundle, namespaces: Namespaces, *arguments: str, user: str = "") -> SpecRequest:
        return SpecRequest(
            owner=bundle.directory.name,
            hostname="box",
            arguments=arguments,
            rootfs=bundle.rootfs,
            user=resolve_user(bundle.rootfs, user),
            idmap=IDMAP,
            user_namespace=namespaces.user,
            network_namespace=namespaces.network,
            cgroups_path=f"/box-{bundle.directory.name}",
            seccomp=load_profile(DEFAULT_CAPABILITIES),
            mounts=bundle.mounts,
        )

    def run(
        self,
        *arguments: str,
        user: str = "",
        layer: RootLayer | None = None,
        volumes: tuple[AnyVolume, ...] = (),
        mounts: tuple[Mount, ...] = (),
        ready: Callable[[Bundle, Namespaces], None] = lambda _bundle, _namespaces: None,
        **changes: Any,
    ) -> Outcome:
        """Run a command to its end. ``changes`` replace fields of the SpecRequest; ``ready`` is called before it."""
        no_new_privileges = bool(changes.get("no_new_privileges", True))
        with self.bundle(layer=layer, volumes=volumes, no_new_privileges=no_new_privileges) as (bundle, namespaces):
            request = self.spec_request(bundle, namespaces, *arguments, user=user)
            request = replace(request, mounts=(*request.mounts, *mounts), **changes)
            write_config(bundle.directory, build_spec(request))
            ready(bundle, namespaces)
            return self.start(bundle)

    def start(self, bundle: Bundle) -> Outcome:
        """Run a bundle with its config.json to its end."""
        name = f"box-{bundle.directory.name}"
        state = self.directory / "state"
        completed = run(
            # A pipe as stdin, never /dev/null: crun 1.8 gives that to the container's root, on the host.
            [self.runtime, "--root", state, "run", "--bundle", bundle.directory, name],
            stdin_data=b"",
            timeout_seconds=_SECONDS,
            check=False,
        )
        run([self.runtime, "--root", state, "delete", "--force", name], timeout_seconds=_SECONDS, check=False)
        return _outcome(completed)

    def attempt(self, *words: str, mounts: tuple[Mount, ...] = (), **changes: Any) -> Outcome:
        """Run one attempt of breakout.py inside."""
        return self.run(*attempt_command(*words), mounts=(*attempt_mounts(), *mounts), **changes)


def attempt_command(*words: str) -> tuple[str, ...]:
    return (_PYTHON, "-I", "-S", "/breakout.py", *words)


def attempt_mounts() -> tuple[Mount, ...]:
    options = ("bind", "ro", "nosuid", "nodev")
    return (
        Mount(source="/usr", destination="/usr", options=options),
        Mount(source=os.fspath(_SCRIPT), destination="/breakout.py", options=options),
    )


def attempt_outside(*words: str) -> Outcome:
    """The same attempt as the host's root: what shows that a refusal inside is the isolation's doing."""
    completed = run([_PYTHON, "-I", "-S", _SCRIPT, *words], timeout_seconds=_SECONDS, check=False)
    return _outcome(completed)


def _outcome(completed: Completed) -> Outcome:
    return Outcome(status=completed.status, text=(completed.stdout + completed.stderr).decode(errors="replace"))
