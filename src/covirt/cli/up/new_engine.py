# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What ``covirt engine init`` does."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from covirt.cli.up.database import SOCKETS, make_database, user_exists
from covirt.cli.up.errors import HasDatabase, NeedsRoot
from covirt.cli.up.installation import USER, Choices, Installation
from covirt.client.engine import API
from covirt.common.exit_status import exit_status
from covirt.common.files import make_directory, write_atomic
from covirt.common.process import Argument, run

_SERVICE_USER: Final = "covirt-engine"  # of the package; without one the engine runs as root
_PREPARE_SECONDS: Final = 300.0
_HEAD: Final = "# Written by covirt engine init; a file that comes later in the alphabet counts more.\n"


def make_engine(
    root: str,
    *,
    database: str | None,
    password_file: str | None,
    socket: str | None,
    port: int,
    names: Sequence[str],
) -> int:
    """The exit status."""

    def work() -> None:
        if os.geteuid() != 0:
            raise NeedsRoot(command="engine init", why="it makes a database, and files of the engine's user")
        installation = Installation.at(root)
        owner = _owner(installation)
        present = installation.root.state_dir / "engine/engine.db"
        if present.exists():
            raise HasDatabase(path=present)
        url = database or make_database(Path(socket) if socket else SOCKETS, owner)
        kept = _kept_password(installation, Path(password_file), owner) if password_file else ""
        _write_settings(installation, url=url, password_file=kept, port=port, names=names)
        _prepare(installation, owner)
        _tell(installation, port)

    return exit_status("covirt engine init", work)


def _owner(installation: Installation) -> str:
    """Who the engine runs as."""
    packaged = installation.root.path == Path("/") and user_exists(_SERVICE_USER)
    return _SERVICE_USER if packaged else "root"


def _kept_password(installation: Installation, source: Path, owner: str) -> str:
    """A copy that the engine alone can read; its place below the root."""
    path = installation.root.config_dir / "database-password"
    make_directory(path.parent, mode=0o755)
    write_atomic(path, source.read_bytes(), mode=0o600)
    shutil.chown(path, owner)
    return str(path.relative_to(installation.root.path))


def _write_settings(
    installation: Installation, *, url: str, password_file: str, port: int, names: Sequence[str]
) -> None:
    """JSON's texts and lists are TOML's."""
    lines = [_HEAD, "[server]", f"port = {port}", f"names = {json.dumps(list(names))}", "", "[database]"]
    lines += [f"url = {json.dumps(url)}", f"password_file = {json.dumps(password_file)}", ""]
    path = installation.root.config_dir / "engine.d/40-init.toml"
    make_directory(path.parent, mode=0o755)
    write_atomic(path, "\n".join(lines).encode(), mode=0o644)


def _prepare(installation: Installation, owner: str) -> None:
    argv: list[Argument] = [installation.program("covirt-engine"), "--root", installation.root.path, "--prepare"]
    words: list[Argument] = ["--log-level", "warning"]
    become: list[Argument] = ["runuser", "-u", owner, "--"] if owner != "root" else []
    run([*become, *argv, *words], timeout_seconds=_PREPARE_SECONDS, directory="/")


def _tell(installation: Installation, port: int) -> None:
    path = installation.password_file
    start = "systemctl enable --now covirt-engine" if Path("/run/systemd/system").is_dir() else ""
    start = start or f"covirt-engine --root {installation.root.path}"
    for line in (
        f"URL       {installation.engine_url(Choices(engine_port=port))}{API}",
        f"CA file   {installation.engine_ca_file}",
        f"user      {USER}",
        f"password  {path.read_text().strip() if path.exists() else 'as it was'}",
        f"start it  {start}",
    ):
        sys.stdout.write(f"{line}\n")
