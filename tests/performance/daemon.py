# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The daemon as a host has it: state on the disk, /run in memory, and no more talk than configured."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from covirt.common.process import Argument
from covirt.common.root import Root
from tests.support import cgroups
from tests.support.network import LinuxBridge, new_linux_bridge
from tests.support.oci_layout import busybox_image, write_layout
from tests.support.roots import new_directory
from tests.support.syscalls import MS_NODEV, MS_NOSUID, mount, unmount
from tests.support.virtocid import IMAGE, Virtocid, import_image

# The smallest process there is in the image: it does nothing until it is ended.
IDLE = ("/bin/sleep", "1000000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a measurement works on. ``source`` names the imported image as skopeo and podman do."""

    daemon: Virtocid
    bridge: LinuxBridge
    source: str


@contextmanager
def new_host(program: Sequence[Argument] = ()) -> Iterator[Host]:
    """A running daemon (``program`` instead of virtocid) with an imported image and a Linux bridge."""
    with new_directory(on_disk=True) as path, new_linux_bridge() as bridge:
        (path / "run").mkdir(mode=0o755)
        mount("tmpfs", path / "run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
        source = f"oci:{write_layout(path / 'layout', {IMAGE: busybox_image()})}:{IMAGE}"
        daemon = Virtocid(Root(path), log_level="info")
        daemon.program = program or daemon.program
        try:
            import_image(daemon.root, source, IMAGE)
            daemon.start()
            yield Host(daemon=daemon, bridge=bridge, source=source)
            daemon.remove_domains()
        finally:
            if daemon.running:
                daemon.stop()
            remove_cgroups(f"covirt-{daemon.root.id}")
            unmount(path / "run")


def remove_cgroups(name: str) -> None:
    """Remove the group of this name below the top of every tree, with what is in it."""
    for pattern in (name, f"*/{name}"):
        for group in cgroups.CGROUP_MOUNT.glob(pattern):
            cgroups.remove_group(group)
