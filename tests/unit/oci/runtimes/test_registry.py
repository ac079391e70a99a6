# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Runtimes by name on hosts with good, bad and no programs; the programs are scripts."""

from pathlib import Path

import pytest

from covirt.common.errors import InvalidRequest, Unsupported
from covirt.common.root import Root
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.runtime import RuntimeConfig, RuntimeInfo
from covirt.oci.runtimes.errors import UnknownRuntime, UnusableRuntime
from covirt.oci.runtimes.fake import FAKE_RUNTIME
from covirt.oci.runtimes.probe import probe
from covirt.oci.runtimes.registry import Runtimes, load_runtimes
from tests.support.programs import fake_program

NO_CGROUPS = CgroupLayout(version=2, hierarchies={}, unified=None)


def probe_script(
    directory: Path, script: str, *, kind: str = "other", layout: CgroupLayout = NO_CGROUPS
) -> RuntimeInfo:
    path = fake_program(directory, kind, script)
    return probe(RuntimeConfig(name=kind, path=str(path)), kind, layout=layout)


@pytest.fixture
def runtimes(tmp_path: Path) -> Runtimes:
    old = fake_program(tmp_path, "runc", "echo runc version 1.1.4")
    configs = [
        FAKE_RUNTIME,
        RuntimeConfig(name="old", path=str(old), kind="runc"),
        RuntimeConfig(name="gone", path="/absent/runc", kind="runc"),
        RuntimeConfig(name="rocket", path="/usr/bin/rkt", kind="rkt"),
    ]
    return load_runtimes(Root(tmp_path / "root"), configs)


def test_a_usable_runtime_is_given(runtimes: Runtimes) -> None:
    assert runtimes.named("fake").name == "fake"
    assert runtimes.usable() == ("fake",)


def test_an_unknown_name_lists_what_there_is(runtimes: Runtimes) -> None:
    with pytest.raises(UnknownRuntime) as caught:
        runtimes.named("typo")
    assert "fake, gone, old, rocket" in str(caught.value)
    assert "usable here: fake" in str(caught.value)
    assert isinstance(caught.value, InvalidRequest)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("old", "CVE-2024-21626"), ("gone", "/absent/runc is not installed"), ("rocket", "archived since 2020")],
)
def test_an_unusable_runtime_is_refused_with_its_reason(runtimes: Runtimes, name: str, reason: str) -> None:
    with pytest.raises(UnusableRuntime, match=reason) as caught:
        runtimes.named(name)
    assert "usable here: fake" in str(caught.value)
    assert isinstance(caught.value, Unsupported)


def test_rkt_is_refused_even_when_nobody_configured_it(runtimes: Runtimes) -> None:
    with pytest.raises(UnusableRuntime, match="archived since 2020"):
        runtimes.named("rkt")


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    path = tmp_path / "crun"
    path.write_text("not a program")
    info = probe(RuntimeConfig(name="crun", path=str(path)), "crun", layout=NO_CGROUPS)
    assert info.reason == f"{path} is not executable"


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exit 3", "does not answer --version"), ("echo hello", "names no version")],
)
def test_a_program_that_is_no_runtime(tmp_path: Path, script: str, reason: str) -> None:
    info = probe_script(tmp_path, script)
    assert not info.usable
    assert info.reason is not None
    assert reason in info.reason


def test_features_of_a_program_that_lists_them(tmp_path: Path) -> None:
    answers = """case "$*" in
    --version) printf 'crun version 1.28\\n+SYSTEMD +SECCOMP\\n';;
    features) echo '{"linux": {"mountExtensions": {"idmap": {"enabled": true}}}}';;
    esac"""
    info = probe_script(tmp_path, answers, kind="crun")
    assert info.usable
    assert info.features == {"systemd", "seccomp", "features", "idmapped-mounts"}


def test_features_that_are_too_new_are_none(tmp_path: Path) -> None:
    info = probe_script(tmp_path, '[ "$1" = --version ] && echo "crun version 1.28"', kind="crun")
    assert info.usable
    assert info.features == frozenset()


@pytest.mark.parametrize(("controllers", "usable"), [("hugetlb misc\n", False), ("", True)])
def test_crun_beside_v2_controllers(tmp_path: Path, controllers: str, usable: bool) -> None:
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified/cgroup.controllers").write_text(controllers)
    layout = CgroupLayout(version=1, hierarchies={"memory": "/x"}, unified=str(tmp_path / "unified"))
    info = probe_script(tmp_path, 'echo "crun version 1.28"', kind="crun", layout=layout)
    assert info.usable is usable
    if not usable:
        assert info.reason is not None
        assert "hugetlb, misc" in info.reason
    runc = probe_script(tmp_path, 'echo "runc version 1.4.3"', kind="runc", layout=layout)
    assert runc.usable


def test_extra_arguments_come_before_the_operation(tmp_path: Path) -> None:
    fake_program(tmp_path, "other", '[ "$1" = --platform=kvm ] && [ "$2" = --version ] && echo "other version 3"')
    config = RuntimeConfig(name="mine", path=str(tmp_path / "other"), arguments=("--platform=kvm",))
    assert probe(config, "runsc", layout=NO_CGROUPS).version == "3"
