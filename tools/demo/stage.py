# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo plays on: an installation by covirt up, a registry, a guest's files; on a tmpfs of its own."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from covirt.common.process import Argument, run
from covirt.common.root import Root
from tests.support.guest import TinyGuest, build_guest
from tests.support.libvirtd import private_libvirt
from tests.support.registry import serve_registry
from tests.support.syscalls import MS_BIND, mount
from tests.support.world import WORLD_DIR
from tools.demo.image import TAG, write_image
from tools.demo.ovirt import Ovirt, logged_in

# Short, and not "/": the demo's installation is its own also where covirt is installed.
ROOT: Final = Path("/run/demo")
_COVIRT: Final = Path(sys.executable).parent / "covirt"
_SECONDS: Final = 180.0
_LIBVIRT_DIR: Final = Path("/run/libvirt")
_POLKIT_AGENT: Final = Path("/usr/bin/pkttyagent")


class Stage:
    """Ends with ``stack``, but for the daemons: they end by take_down()."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._login = ExitStack()
        self.root = Root(ROOT)

    @property
    def log(self) -> Path:
        """Of the engine, which knows most."""
        return ROOT / "var/log/covirt/covirt-engine.log"

    def prepare(self) -> None:
        """Make the places. The sockets of both daemons meet where stock clients look for them."""
        self.root.libvirt_dir.mkdir(parents=True)
        for path in (ROOT, ROOT / "run"):
            path.chmod(0o711)
        _LIBVIRT_DIR.symlink_to(self.root.libvirt_dir)
        _hide_polkit_agent()
        self._stack.enter_context(private_libvirt(_new_directory("libvirtd")))

    def build_guest(self) -> TinyGuest:
        """Debian's cloud kernel and an initramfs, which the engine may name to the host. Raises NoGuestKernel."""
        directory = _new_directory("guest")
        settings = self.root.config_dir / "host.d/60-demo.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(f'[virt]\nhost_files = ["{directory}"]\nsample_seconds = 1\n')
        return build_guest(directory)

    def bring_up(self) -> list[str]:
        """What covirt up tells. Raises CommandFailed."""
        return self._covirt("up").splitlines()

    def take_down(self) -> None:
        self._covirt("down")

    @property
    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._covirt("status", "--output", "json", check=False))
        return told

    def pid(self, name: str) -> int:
        """Of a daemon that runs; 0 for one that does not."""
        return int(self.status["daemons"][name].get("pid", 0))

    def _covirt(self, *words: str, check: bool = True) -> str:
        argv: list[Argument] = [_COVIRT, words[0], "--root", ROOT, *words[1:]]
        return run(argv, timeout_seconds=_SECONDS, check=check).stdout.decode()

    def log_in(self) -> Ovirt:
        """Until log_out(), or the end of the stack. Raises WrongAnswer."""
        self._stack.enter_context(self._login)
        return self._login.enter_context(logged_in(self.status, self.root.state_dir / "up-leases"))

    def log_out(self) -> None:
        self._login.close()

    @contextmanager
    def registry(self) -> Iterator[str]:
        """One with the demo's image in it; the reference."""
        directory = _new_directory("registry")
        with serve_registry(directory) as registry:
            yield registry.push(write_image(directory / "layout"), TAG, f"{TAG}:1")


def _hide_polkit_agent() -> None:
    """On a terminal virsh starts it, and here it would only complain that there is no polkit."""
    if _POLKIT_AGENT.exists():
        nothing = ROOT / "no-polkit-agent"
        nothing.touch(mode=0)
        mount(str(nothing), _POLKIT_AGENT, flags=MS_BIND)


def _new_directory(name: str) -> Path:
    """A directory that QEMU's user may pass."""
    path = WORLD_DIR / name
    os.mkdir(path, 0o755)
    return path
