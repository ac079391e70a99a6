# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where a user's login is kept between commands: a file that only he can read."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from covirt.common.files import make_directory, read_json, write_json

_VERSION: Final = 1
_FILE: Final = "covirt/login.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """``url`` without a path; ``ca_file`` empty: by the system's authorities. ``root``: of the installation whose
    first password has made it, so that it can be made anew."""

    url: str
    ca_file: str
    user: str
    token: str
    root: str = ""


def login_path() -> Path:
    """By the XDG base directory specification."""
    base = os.environ.get("XDG_CONFIG_HOME") or ""
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / _FILE


def read_login() -> Login | None:
    """Raises BrokenFile, UnknownFileVersion."""
    try:
        found = read_json(login_path(), versions=range(1, _VERSION + 1))
    except FileNotFoundError:
        return None
    return Login(**{name: str(found.get(name, "")) for name in ("url", "ca_file", "user", "token", "root")})


def write_login(login: Login) -> None:
    make_directory(login_path().parent)
    write_json(login_path(), asdict(login), version=_VERSION, mode=0o600)


def forget_login() -> None:
    login_path().unlink(missing_ok=True)
