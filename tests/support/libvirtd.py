# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A real libvirtd for ``qemu:///system`` inside a world: its usual paths, but private copies of what they hold."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.process import Completed, run, spawn
from tests.support import cgroups
from tests.support.syscalls import MS_BIND, mount, unmount
from tests.support.waiting import wait_until

URI: Final = "qemu:///system"
_START_SECONDS: Final = 60.0  # it asks every QEMU binary for its abilities first
_SOCKET: Final = Path("/run/libvirt/libvirt-sock")
_CONFIGURATION: Final = {
    "libvirtd.conf": 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n',  # no polkit in a world
    # QEMU needs no /dev of its own in a world, and libvirt cannot make one that has a file bound over a device.
    "qemu.conf": 'security_driver = "none"\nnamespaces = []\n',
    "virtlogd.conf": "",
}
_BOUND: Final = ("/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Libvirtd:
    """A running libvirtd. ``pid`` is 0 for one that is not ours."""

    uri: str = URI
    pid: int = 0

    def virsh(self, *arguments: str, check: bool = True, timeout_seconds: float = 60) -> Completed:
        return run(["virsh", "-q", "-c", self.uri, *arguments], timeout_seconds=timeout_seconds, check=check)


@contextmanager
def serve_libvirtd(directory: Path) -> Iterator[Libvirtd]:
    """Run virtlogd and libvirtd with their files in ``directory`` (passable for others). Only inside a world."""
    with ExitStack() as stack:
        stack.enter_context(private_libvirt(directory))
        log = stack.enter_context((directory / "daemons.log").open("wb"))
        stack.enter_context(spawn(["virtlogd"], stdout=log, stderr=log))
        daemon = stack.enter_context(spawn(["libvirtd"], stdout=log, stderr=log))
        wait_until(
            lambda: _answers() or daemon.poll() is not None,
            timeout_seconds=_START_SECONDS,
            what="an answer of libvirtd",
        )
        assert daemon.poll() is None, (directory / "daemons.log").read_text()
        yield Libvirtd(pid=daemon.pid)


@contextmanager
def private_libvirt(directory: Path) -> Iterator[None]:
    """The places of a libvirtd that somebody else starts: empty, and in ``directory``."""
    with ExitStack() as stack:
        _bind_private_copies(directory, stack)
        _make_machine_groups(stack)
        _hide_kvm(directory, stack)
        yield


def _bind_private_copies(directory: Path, stack: ExitStack) -> None:
    for target in map(Path, _BOUND):
        source = directory / target.relative_to("/")
        source.mkdir(parents=True)
        source.chmod(0o755)
        mount(str(source), target, flags=MS_BIND)
        stack.callback(unmount, target)
    for name, text in _CONFIGURATION.items():
        Path("/etc/libvirt", name).write_text(text)
    for parent in (directory, directory / "var", directory / "var/lib"):
        parent.chmod(0o711)


def _make_machine_groups(stack: ExitStack) -> None:
    """libvirt makes the group ``machine`` for its first domain and keeps it; here it lives as long as the daemon."""
    for tree in cgroups.hierarchies():
        top = cgroups.CGROUP_MOUNT / tree.mount_point.name if tree.version == 1 else cgroups.CGROUP_MOUNT
        cgroups.make_group(top / "machine")
        stack.callback(cgroups.remove_group, top / "machine")


def _hide_kvm(directory: Path, stack: ExitStack) -> None:
    """Guests are emulated, so that they are the same on every machine.

    And where /dev/kvm exists but does not work, libvirt would ask QEMU anew before every step, for seconds.
    """
    device, nothing = Path("/dev/kvm"), directory / "no-kvm"
    if device.exists():
        nothing.touch(mode=0)
        mount(str(nothing), device, flags=MS_BIND)
        stack.callback(unmount, device)


def _answers() -> bool:
    return _SOCKET.exists() and run(["virsh", "-c", URI, "uri"], timeout_seconds=60, check=False).status == 0
