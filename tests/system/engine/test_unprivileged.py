# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine as the package runs it: a user without rights, in the directories that the package makes."""

import os
import pwd
from pathlib import Path
from typing import Final

import pytest

from covirt.common.root import Root
from tests.support.covirt_engine import CovirtEngine, serve_covirt_engine

_LAYOUT: Final = Path(__file__).resolve().parents[3] / "packaging/tmpfiles/covirt-engine.conf"
_OWNER: Final = "nobody"  # in the place of the package's user
# Reading is let through, because the checkout may lie where only root can look; writing is what this is about.
_AS_OWNER: Final = (
    *("setpriv", f"--reuid={_OWNER}", "--regid=nogroup", "--clear-groups", "--no-new-privs"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    *("--bounding-set=-all,+dac_read_search", "--"),
)


@pytest.fixture
def installed(root_dir: Root) -> Root:
    """With the directories and files of the package's tmpfiles.d."""
    for line in _LAYOUT.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        kind, name, mode, user, _, _ = line.split()
        path = root_dir.path / name.removeprefix("/")
        if kind == "d":
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.touch()
        path.chmod(int(mode, 8))
        if user != "root":
            entry = pwd.getpwnam(_OWNER)
            os.chown(path, entry.pw_uid, entry.pw_gid)
    return root_dir


def test_the_package_makes_all_that_the_service_writes(installed: Root) -> None:
    with serve_covirt_engine(installed, run_as=_AS_OWNER) as engine:
        assert engine.log_in("admin@internal", engine.password).status == 200
        assert _owners(engine) == {_OWNER}
        engine.restart()
        engine.token()
    assert (installed.config_dir / "admin-password").stat().st_mode & 0o777 == 0o600


def _owners(engine: CovirtEngine) -> set[str]:
    return {path.owner() for path in (engine.root.state_dir / "engine").rglob("*")}
