# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What covirt-host check tells of programs and ports."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from covirt.common.root import Root
from covirt.host.config import HostConfig
from covirt.host.examination import _import_programs, _other_programs, _ports
from covirt.host.findings import Verdict
from covirt.oci.image.store import IMPORT_PROGRAMS


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


def test_what_an_import_of_a_container_image_needs_is_known_before_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    config = replace(HostConfig(), containers=replace(HostConfig().containers, enabled=True))
    assert not list(_import_programs(Root("/"), HostConfig()))
    for program in IMPORT_PROGRAMS:
        (tmp_path / program).touch(mode=0o755)
    [found] = _import_programs(Root("/"), config)
    assert found.verdict is Verdict.GOOD
    for program in set(IMPORT_PROGRAMS) - {"setpriv"}:  # which disks need, too, and which is told there
        (tmp_path / program).unlink()
        [found] = _import_programs(Root("/"), config)
        assert (found.verdict, found.fact) == (Verdict.MISSING, f"cannot be imported without {program}")
        assert found.remedy == f"apt-get install {program}"
        (tmp_path / program).touch(mode=0o755)


def test_whoever_has_the_port_of_transfers_is_told_before_an_upload_fails(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as other, socket.create_server(("127.0.0.1", 0)) as also:
        taken, rpc = other.getsockname()[1], also.getsockname()[1]
        default = HostConfig()
        config = replace(
            default,
            images=replace(default.images, imageio_port=taken),
            rpc=replace(default.rpc, listen="127.0.0.1", port=rpc),
        )
        found = {one.what: one for one in _ports(Root(tmp_path), config)}
    assert {one.verdict for one in found.values()} == {Verdict.MISSING}
    assert found[f"port {taken}"].remedy == f"ss -ltnp sport = :{taken}"
    assert {one.verdict for one in _ports(Root(tmp_path), config)} == {Verdict.GOOD}
