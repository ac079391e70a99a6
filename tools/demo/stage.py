# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo plays on: libvirtd, virtocid, a network, an imported image. Everything lies on a tmpfs of our own."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from covirt.common.process import Argument, Child, run, spawn
from covirt.common.root import Root
from tests.support.guest import TinyGuest, build_guest
from tests.support.libvirtd import serve_libvirtd
from tests.support.registry import serve_registry
from tests.support.syscalls import MS_BIND, mount
from tests.support.world import WORLD_DIR
from tools.demo import domains
from tools.demo.errors import TooLate, WrongAnswer
from tools.demo.image import TAG, write_image
from tools.demo.virsh import OCI, QEMU, define, virsh

# Short, and not "/": the demo's installation is its own also where covirt is installed.
ROOT: Final = Path("/run/demo")
_PROGRAMS: Final = Path(sys.executable).parent
_START_SECONDS: Final = 120.0
_IMPORT_SECONDS: Final = 120.0
_LIBVIRT_DIR: Final = Path("/run/libvirt")
_POLKIT_AGENT: Final = Path("/usr/bin/pkttyagent")


class Stage:
    """Parts are started one by one and end with ``stack``."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.root = Root(ROOT)
        self.virtocid_log = ROOT / "virtocid.log"
        self.libvirtd_log = _new_directory("libvirtd") / "daemons.log"
        self._virtocid: Child | None = None

    def prepare(self) -> None:
        """Make the places. The sockets of both daemons meet where stock clients look for them."""
        self.root.libvirt_dir.mkdir(parents=True)
        for path in (ROOT, ROOT / "run"):
            path.chmod(0o711)
        _LIBVIRT_DIR.symlink_to(self.root.libvirt_dir)
        _hide_polkit_agent()

    def start_libvirtd(self) -> None:
        """Start it, and have it ask QEMU what it can do, which takes longer than all the rest."""
        self._stack.enter_context(serve_libvirtd(self.libvirtd_log.parent))
        virsh(QEMU, "domcapabilities", "--virttype", "qemu")

    def start_virtocid(self) -> None:
        """Start it, the first time or again, and return when it answers. Raises TooLate, WrongAnswer."""
        log = self._stack.enter_context(self.virtocid_log.open("ab"))
        child = spawn([_PROGRAMS / "virtocid", "--root", ROOT], stdout=log, stderr=log)
        self._virtocid = self._stack.enter_context(child)
        wait_for(lambda: child.poll() is not None or self._serves(), seconds=_START_SECONDS, what="virtocid")
        if child.poll() is not None:
            raise WrongAnswer(who="virtocid", answer=f"good-bye, with status {child.poll()}")

    def _serves(self) -> bool:
        socket = self.root.libvirt_dir / "virtocid-sock"
        return socket.exists() and run(["virsh", "-c", OCI, "uri"], timeout_seconds=30, check=False).status == 0

    @property
    def virtocid_pid(self) -> int:
        assert self._virtocid is not None
        return self._virtocid.pid

    def kill_virtocid(self) -> None:
        """kill -9, no more."""
        assert self._virtocid is not None
        self._virtocid.signal(signal.SIGKILL)
        self._virtocid.wait(timeout_seconds=_START_SECONDS)

    def start_network(self) -> None:
        define(QEMU, "net-define", domains.network_xml(), ROOT)
        virsh(QEMU, "net-start", domains.NETWORK)

    def import_image(self) -> tuple[str, dict[str, Any]]:
        """Push the image into a registry and import it from there; the reference, and what virtocid-image tells."""
        directory = _new_directory("registry")
        with serve_registry(directory) as registry:
            reference = registry.push(write_image(directory / "layout"), TAG, f"{TAG}:1")
            argv: list[Argument] = [_PROGRAMS / "virtocid-image", "import", reference, "--name", TAG, "--root", ROOT]
            options = ["--no-tls-verify", "--progress", "none", "--format", "json"]
            told = run([*argv, *options], timeout_seconds=_IMPORT_SECONDS).stdout
        return reference, json.loads(told)

    def build_guest(self) -> TinyGuest:
        """Debian's cloud kernel and an initramfs. Raises NoGuestKernel."""
        return build_guest(_new_directory("guest"))


def _hide_polkit_agent() -> None:
    """On a terminal virsh starts it, and here it would only complain that there is no polkit."""
    if _POLKIT_AGENT.exists():
        nothing = ROOT / "no-polkit-agent"
        nothing.touch(mode=0)
        mount(str(nothing), _POLKIT_AGENT, flags=MS_BIND)


def wait_for(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Raises TooLate."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TooLate(what=what, seconds=seconds)
        time.sleep(0.02)


def wait_for_page(address: str, path: str = "/", *, seconds: float = 60.0) -> str:
    """The text of a web page, as soon as it comes. Raises TooLate."""
    pages: list[str] = []

    def answers() -> bool:
        page = _page(address, path)
        pages.extend([page] if page else [])
        return bool(pages)

    wait_for(answers, seconds=seconds, what=f"an answer of http://{address}{path}")
    return pages[0]


def _page(address: str, path: str) -> str | None:
    connection = HTTPConnection(address, timeout=2.0)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.read().decode().strip() if response.status == 200 else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def _new_directory(name: str) -> Path:
    """A directory that QEMU's user may pass."""
    path = WORLD_DIR / name
    os.mkdir(path, 0o755)
    return path
