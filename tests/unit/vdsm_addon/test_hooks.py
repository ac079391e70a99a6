# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What Vdsm is told when a hook does not work. For it any status but 0 stops a start or a migration."""

from pathlib import Path
from typing import Final

import pytest

from covirt.common.process import Completed, run
from tests.support.vdsm_addon import ADDON

_GO_ON, _REFUSED = 0, 2
_CONTAINER: Final = "<domain><metadata><a xmlns='http://ovirt.org/vm/containers/1.0'/></metadata>"
_HOOKS: Final = ("before_vm_start", "before_vm_migrate_source")


def ended(hook: str, lib: Path, file: Path, **environment: str) -> Completed:
    said = {"COVIRT_VDSM_ADDON_LIB": str(lib), "_hook_domxml": str(file), "_hook_json": str(file), **environment}
    return run(["/usr/bin/python3", ADDON / "hooks" / hook], environment=said, timeout_seconds=30, check=False)


@pytest.mark.parametrize("hook", _HOOKS)
@pytest.mark.parametrize(("properties", "status"), [({"containerType": "docker"}, _REFUSED), ({}, _GO_ON)])
def test_a_file_that_cannot_be_read(tmp_path: Path, hook: str, properties: dict[str, str], status: int) -> None:
    file = tmp_path / "xml"
    file.write_bytes(b"<domain>\xff</domain>")
    told = ended(hook, ADDON / "lib", file, **properties)
    assert (told.status, b"the hook failed" in told.stderr) == (status, True)


@pytest.mark.parametrize("hook", _HOOKS)
@pytest.mark.parametrize(
    ("text", "properties", "status"),
    [("<domain/>", {}, _GO_ON), ("<domain/>", {"containerType": "docker"}, _REFUSED), (_CONTAINER, {}, _REFUSED)],
)
def test_half_of_it_is_installed(
    tmp_path: Path, hook: str, text: str, properties: dict[str, str], status: int
) -> None:
    file = tmp_path / "xml"
    file.write_text(text)
    told = ended(hook, tmp_path, file, **properties)
    assert (told.status, b"install it again" in told.stderr) == (status, True)


def test_settings_that_cannot_be_read_stop_no_other_hook_of_the_capabilities(tmp_path: Path) -> None:
    """2 would end Vdsm's round of the hooks."""
    settings, file = tmp_path / "addon.conf", tmp_path / "json"
    settings.write_text("enabled\n")
    file.write_text("{}")
    told = ended("after_get_caps", ADDON / "lib", file, COVIRT_VDSM_ADDON_CONF=str(settings))
    assert (told.status, file.read_text()) == (_GO_ON, "{}")
