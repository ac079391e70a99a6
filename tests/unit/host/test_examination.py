# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What covirt-host check tells of programs."""

from pathlib import Path

import pytest

from covirt.common.root import Root
from covirt.host.config import HostConfig
from covirt.host.examination import _other_programs
from covirt.host.findings import Verdict


def test_what_a_host_does_without_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it is known only when an engine asks for a network or for storage."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {one.what: one for one in _other_programs(Root("/"), HostConfig())}
    assert {one.verdict for one in found.values()} == {Verdict.NOTE}
    assert found["udhcpc"].remedy == "apt-get install udhcpc"
    assert found["mount.nfs"].remedy == "apt-get install nfs-common"
    program = tmp_path / "udhcpc"
    program.touch(mode=0o755)
    found = {one.what: one for one in _other_programs(Root("/"), HostConfig())}
    assert (found["udhcpc"].verdict, found["udhcpc"].fact) == (Verdict.GOOD, str(program))
