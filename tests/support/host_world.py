# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A whole host in namespaces: libvirtd, virtocid and covirt-host, with a NIC to the network of the test that made it.

``python -m tests.support.host_world NAME ADDRESS KEPT`` is the program of one host; a pipe on its stdin is its life.
What is below KEPT outlives it, as a disk does; everything else is gone with it, as memory is.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.files import remove_tree
from covirt.common.process import PIPE, Child, CommandTimeout, run, spawn
from covirt.common.root import Root
from tests.support import cgroups
from tests.support.covirt_host import PORT, CovirtHost, HostClient
from tests.support.libvirtd import serve_libvirtd
from tests.support.network import LinuxBridge
from tests.support.oci_layout import busybox_image, write_layout
from tests.support.syscalls import MS_BIND, mount
from tests.support.virtocid import IMAGE, Virtocid, import_image
from tests.support.waiting import wait_until
from tests.support.world import DISK_DIR, VARIABLE, WORLD_DIR, enter_world

NIC: Final = "eth0"
_KEPT: Final = Path("/media")  # where no checkout lies
_SECONDS: Final = 90.0


@dataclass
class HostWorld:
    """``pki``: a client's of the same authority. ``address`` is in the network of ``bridge``."""

    name: str
    address: str
    kept: Path
    pki: Path
    bridge: LinuxBridge
    child: Child | None = None

    @property
    def port_name(self) -> str:
        """Our end of its cable."""
        return f"to-{self.name}"

    def start(self) -> None:
        """Begin; ready() waits for it."""
        argv = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--propagation", "private",
                "catatonit", "--", sys.executable, "-m", "tests.support.host_world", self.name, self.address,
                str(self.kept)]  # fmt: skip
        with (self.kept / "host.log").open("ab") as log:
            self.child = spawn(
                argv, stdin=PIPE, stdout=PIPE, stderr=log, environment={VARIABLE: os.environ[VARIABLE]}
            )
        self._expect("in its world")
        # A machine's own: after a power cut with a new one, its neighbours would ask the old one for a while.
        mac = f"52:54:00:00:00:{int(self.address.rpartition('.')[2]):02x}"
        peer = ["peer", "name", NIC, "address", mac, "netns", str(self._inner_pid())]
        run(["ip", "link", "add", self.port_name, "type", "veth", *peer], timeout_seconds=10)
        run(["ip", "link", "set", self.port_name, "master", self.bridge.name, "up"], timeout_seconds=10)
        self.child.stdin.write(b"go\n")
        self.child.stdin.flush()

    def ready(self) -> None:
        self._expect("ready")

    def cut_off(self, *, cut: bool) -> None:
        run(["ip", "link", "set", self.port_name, "down" if cut else "up"], timeout_seconds=10)

    def kill(self) -> None:
        """As a power cut."""
        assert self.child is not None
        child, self.child = self.child, None
        self._end(child)

    def stop(self) -> None:
        if self.child is not None:
            child, self.child = self.child, None
            try:
                with contextlib.suppress(BrokenPipeError):  # it has ended by itself
                    child.stdin.close()
                with contextlib.suppress(CommandTimeout):
                    child.wait(timeout_seconds=_SECONDS)
                self._end(child)
            finally:
                self._forget()
        else:
            self._forget()

    def _end(self, child: Child) -> None:
        """unshare is deaf to SIGTERM; its death is its PID namespace's."""
        child.signal(signal.SIGKILL)
        child.stop()
        self._clear()

    def _forget(self) -> None:
        remove_tree(DISK_DIR / self.name)

    def client(self) -> HostClient:
        return HostClient(self.pki, PORT, self.address).open()

    def _clear(self) -> None:
        run(["ip", "link", "delete", self.port_name], timeout_seconds=10, check=False)
        for tree in cgroups.hierarchies():
            group = tree.place / self.name
            if group.exists():
                wait_until(lambda group=group: _removed(group), timeout_seconds=_SECONDS, what=f"an empty {group}")  # type: ignore[misc]

    def _expect(self, word: str) -> None:
        assert self.child is not None
        line = self.child.stdout.readline().decode()
        assert word in line, (line, (self.kept / "host.log").read_text()[-4000:])

    def _inner_pid(self) -> int:
        assert self.child is not None
        text = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()
        return int(text.split()[0])


def _removed(group: Path) -> bool:
    with contextlib.suppress(OSError):
        cgroups.remove_group(group)
    return not group.exists()


def main(name: str, address: str, kept: str) -> None:
    mount(kept, _KEPT, flags=MS_BIND)
    enter_world(name, keep_network=True)
    print("in its world", flush=True)  # noqa: T201 - told to the test
    sys.stdin.readline()
    run(["ip", "address", "add", f"{address}/24", "dev", NIC], timeout_seconds=10)
    run(["ip", "link", "set", NIC, "up"], timeout_seconds=10)
    with serving():
        print("ready", flush=True)  # noqa: T201 - told to the test
        sys.stdin.read()


@contextlib.contextmanager
def serving() -> Iterator[None]:
    roots = {name: Root(_KEPT / name) for name in ("virtocid", "host")}
    for root in roots.values():
        root.path.mkdir(exist_ok=True)
        root.path.chmod(0o711)
        with contextlib.suppress(FileNotFoundError):
            remove_tree(root.path / "run")  # memory, on a host
    libvirt_dir = WORLD_DIR / "libvirt"
    libvirt_dir.mkdir()
    with serve_libvirtd(libvirt_dir) as libvirtd:
        virtocid = Virtocid(roots["virtocid"])
        if not (roots["virtocid"].images_dir).exists():
            layout = write_layout(WORLD_DIR / "layout", {IMAGE: busybox_image()})
            import_image(virtocid.root, f"oci:{layout}:{IMAGE}", IMAGE)
        virtocid.start()
        uris = f'[virt]\nqemu_uri = "{libvirtd.uri}"\noci_uri = "{virtocid.uri}"\nhost_files = ["/"]\n'
        host = CovirtHost(roots["host"], configuration=f"{uris}[containers]\nenabled = true\n", listen="::")
        host.start()
        try:
            yield
        finally:
            host.stop()
            virtocid.remove_domains()
            virtocid.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
