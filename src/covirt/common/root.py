# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where a program keeps things: one directory, "/" on a host, any other for a second installation beside it."""

import secrets
import string
from functools import cached_property
from pathlib import Path

from covirt.common.errors import Conflict
from covirt.common.files import make_directory, write_atomic


class BrokenRootId(Conflict):
    template = "{path} must hold six lower-case letters but holds {text!r}; put the old id back"


class Root:
    """The directories of one installation, and its six-letter id, which prefixes every machine-wide name it makes."""

    def __init__(self, path: Path | str = "/") -> None:
        self.path = Path(path).resolve()

    @property
    def state_dir(self) -> Path:
        """Survives a reboot."""
        return self.path / "var/lib/covirt"

    @property
    def run_dir(self) -> Path:
        """Lives as long as the boot."""
        return self.path / "run/covirt"

    @property
    def config_dir(self) -> Path:
        return self.path / "etc/covirt"

    @property
    def vendor_config_dir(self) -> Path:
        return self.path / "usr/lib/covirt"

    @property
    def libvirt_dir(self) -> Path:
        """Where stock clients look for sockets."""
        return self.path / "run/libvirt"

    @property
    def images_dir(self) -> Path:
        """The container images that ``virtocid-image`` imports by name."""
        return self.state_dir / "container-images"

    @cached_property
    def id(self) -> str:
        """Six lower-case letters, made once and kept in the state directory."""
        path = self.state_dir / "root-id"
        try:
            text = path.read_text().strip()
        except FileNotFoundError:
            make_directory(path.parent)
            text = "".join(secrets.choice(string.ascii_lowercase) for _ in range(6))
            write_atomic(path, f"{text}\n".encode(), mode=0o644)
        if len(text) != 6 or not set(text) <= set(string.ascii_lowercase):
            raise BrokenRootId(path=path, text=text)
        return text


def boot_id() -> str:
    """The kernel's identity of this boot; a change ends every run."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
