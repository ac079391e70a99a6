# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An installation that ``covirt up`` looks after: its places, and what was chosen when it was made."""

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Self

from covirt.cli.up.records import Records
from covirt.common.files import make_directory, read_json, write_atomic, write_json
from covirt.common.process import run
from covirt.common.root import Root

USER: Final = "admin@internal"
NETWORK: Final = "ovirtmgmt"
HTTPS_PORT: Final = 443
_VERSION: Final = 1
_SECONDS: Final = 30.0
_LONGEST_LOG_BYTES: Final = 20 * 1024 * 1024
_WRITTEN_BY_UP: Final = "# Written by covirt up, and written anew by it: put your own settings into another file.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Kept in the state directory. ``complete``: the engine knows everything of this machine."""

    engine_port: int = HTTPS_PORT
    host_port: int = 54321
    # The network of guests, as in 10.77.0.0/24; the machine has its first address. Empty: not chosen yet.
    subnet: str = ""
    host_name: str = ""
    complete: bool = False
    # systemd's units that covirt up has started, in that order.
    units: tuple[str, ...] = ()

    def with_unit(self, unit: str) -> "Choices":
        return replace(self, units=(*self.units, unit))

    def without_units(self) -> "Choices":
        return replace(self, units=())


class Installation:
    """What lies below one root."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.records = Records(root.run_dir / "up")
        self.programs = Path(sys.executable).parent

    @property
    def log_dir(self) -> Path:
        return self.root.path / "var/log/covirt"

    def log_path(self, name: str) -> Path:
        return self.log_dir / f"{name}.log"

    @property
    def password_file(self) -> Path:
        return self.root.config_dir / "admin-password"

    @property
    def ca_file(self) -> Path:
        """A copy of the engine's authority that everybody may read."""
        return self.root.config_dir / "ca.pem"

    @property
    def engine_ca_file(self) -> Path:
        return self.root.state_dir / "engine/pki/ca.pem"

    @property
    def host_pki(self) -> Path:
        """covirt-host's, from its enrolment."""
        return self.root.path / "etc/pki/vdsm"

    @property
    def certificate(self) -> Path:
        return self.host_pki / "certs/vdsmcert.pem"

    @property
    def host_ca_file(self) -> Path:
        """Of the engine that it is a host of."""
        return self.host_pki / "certs/cacert.pem"

    @property
    def storage_dir(self) -> Path:
        return self.root.state_dir / "storage"

    @property
    def leases_file(self) -> Path:
        return self.root.state_dir / "up-leases"

    def program(self, name: str) -> str:
        """Beside this one, as in a virtual environment, or wherever PATH has it."""
        beside = self.programs / name
        return str(beside) if beside.exists() else shutil.which(name) or name

    def engine_url(self, choices: Choices) -> str:
        """Without a path."""
        return (
            "https://localhost" if choices.engine_port == HTTPS_PORT else f"https://localhost:{choices.engine_port}"
        )

    # What was chosen.

    @property
    def _choices_path(self) -> Path:
        return self.root.state_dir / "up.json"

    def choices(self) -> Choices | None:
        """None where covirt up never was."""
        try:
            found = read_json(self._choices_path, versions=range(_VERSION, _VERSION + 1))
        except FileNotFoundError:
            return None
        known = asdict(Choices())
        words = {name: value for name, value in found.items() if name in known}
        return Choices(**{**words, "units": tuple(found.get("units", ()))})

    def keep(self, choices: Choices) -> None:
        make_directory(self.root.state_dir)
        write_json(self._choices_path, asdict(choices), version=_VERSION, mode=0o644)

    # Settings of the daemons.

    def write_settings(self, choices: Choices) -> None:
        """What the daemons need to be told, beside what an administrator says."""
        virt = "" if self.root.path == Path("/") else '\n[virt]\nqemu_uri = "qemu:///system"\n'
        host = f"[rpc]\nport = {choices.host_port}\n\n[containers]\nenabled = true\n{virt}"
        # Beside another engine on this machine the usual port is that one's.
        proxy = "" if choices.engine_port == HTTPS_PORT else "\n[transfers]\nproxy_port = 0\n"
        self._write("engine.d", f"[server]\nport = {choices.engine_port}\n{proxy}")
        self._write("host.d", host)

    def _write(self, directory: str, text: str) -> None:
        path = self.root.config_dir / directory / "50-up.toml"
        data = f"{_WRITTEN_BY_UP}{text}".encode()
        if not path.exists() or path.read_bytes() != data:
            make_directory(path.parent, mode=0o755)
            write_atomic(path, data, mode=0o644)

    def effective(self, choices: Choices) -> Choices:
        """With the ports that the daemons will really take: an administrator's file may say otherwise."""
        engine, host = self._settings("covirt-engine"), self._settings("covirt-host")
        return replace(choices, engine_port=engine["server"]["port"], host_port=host["rpc"]["port"])

    def _settings(self, program: str) -> Any:
        argv = [self.program(program), "--root", str(self.root.path), "--show-config"]
        return json.loads(run(argv, timeout_seconds=_SECONDS).stdout)

    @classmethod
    def at(cls, path: str) -> Self:
        return cls(Root(path))


def open_log(installation: Installation, name: str) -> IO[bytes]:
    """For a daemon to write to; what has grown long is put aside once."""
    make_directory(installation.log_dir, mode=0o755)
    path = installation.log_path(name)
    if path.exists() and path.stat().st_size > _LONGEST_LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    return os.fdopen(descriptor, "ab")
