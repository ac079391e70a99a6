# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What Vdsm is told when the hook before a start does not work: never that a container may start as a machine."""

from pathlib import Path
from typing import Final

import pytest

from covirt.common.process import Completed, run

_ADDON: Final = Path(__file__).resolve().parents[3] / "packaging/vdsm-addon"
_REFUSED, _GO_ON = 2, 1


def before_vm_start(lib: Path, xml: Path, **properties: str) -> Completed:
    environment = {"COVIRT_VDSM_ADDON_LIB": str(lib), "_hook_domxml": str(xml), **properties}
    hook = _ADDON / "hooks/before_vm_start"
    return run(["/usr/bin/python3", hook], environment=environment, timeout_seconds=30, check=False)


@pytest.mark.parametrize(("properties", "status"), [({"containerType": "docker"}, _REFUSED), ({}, _GO_ON)])
def test_a_file_that_is_not_there(tmp_path: Path, properties: dict[str, str], status: int) -> None:
    ended = before_vm_start(_ADDON / "lib", tmp_path / "absent", **properties)
    assert (ended.status, b"the hook failed" in ended.stderr) == (status, True)


@pytest.mark.parametrize(("properties", "status"), [({"containerType": "docker"}, _REFUSED), ({}, _GO_ON)])
def test_half_of_it_is_installed(tmp_path: Path, properties: dict[str, str], status: int) -> None:
    ended = before_vm_start(tmp_path, tmp_path / "absent", **properties)
    assert (ended.status, b"install it again" in ended.stderr) == (status, True)
