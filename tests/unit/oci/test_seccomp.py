# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The system call filter: rules apply by capability, architecture and kernel, and a missing profile is an error."""

import json
from pathlib import Path
from typing import Any

import pytest

from covirt.oci.capabilities import ALL_CAPABILITIES, DEFAULT_CAPABILITIES
from covirt.oci.isolation_errors import BadSeccompProfile, SeccompProfileMissing
from covirt.oci.seccomp import DEFAULT_PROFILE, load_profile

_PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
    "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [], "includes": {}, "excludes": {}},
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["modify_ldt"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64"]}},
        {"names": ["old"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "2.6"}},
        {"names": ["new"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "999.1"}},
        {
            "names": ["personality"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}],
        },
    ],
}


def _write(directory: Path, profile: object) -> Path:
    path = directory / "seccomp.json"
    path.write_text(profile if isinstance(profile, str) else json.dumps(profile))
    return path


def _allowed(profile: dict[str, Any]) -> set[str]:
    return {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}


def test_rules_depend_on_capabilities_and_architecture(tmp_path: Path) -> None:
    path = _write(tmp_path, _PROFILE)
    plain = load_profile(("CAP_KILL",), path=path, machine="x86_64")
    assert plain["architectures"] == ["SCMP_ARCH_X86_64"]
    assert (plain["defaultAction"], plain["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 38)
    assert _allowed(plain) == {"read", "modify_ldt", "old", "personality"}
    assert {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1} in plain["syscalls"]
    assert "bpf" in _allowed(load_profile(("CAP_SYS_ADMIN",), path=path, machine="x86_64"))
    assert "modify_ldt" not in _allowed(load_profile((), path=path, machine="aarch64"))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = _write(tmp_path, _PROFILE)
    load_profile((), path=path)
    _write(tmp_path, _PROFILE | {"syscalls": []})
    assert load_profile((), path=path)["syscalls"] == []


def test_a_missing_profile_never_means_no_filter(tmp_path: Path) -> None:
    with pytest.raises(SeccompProfileMissing, match="golang-github-containers-common"):
        load_profile((), path=tmp_path / "absent.json")


@pytest.mark.parametrize(
    "profile",
    [
        "not JSON",
        "[]",
        {},
        {"defaultAction": "SCMP_ACT_PERHAPS"},
        {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"action": "SCMP_ACT_ALLOW"}]},
        {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": ["read"]},
        {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": 7},
    ],
)
def test_a_profile_that_is_none_is_refused(tmp_path: Path, profile: object) -> None:
    with pytest.raises(BadSeccompProfile):
        load_profile((), path=_write(tmp_path, profile))


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSeccompProfile, match="vax"):
        load_profile((), path=_write(tmp_path, _PROFILE), machine="vax")


@pytest.mark.skipif(not DEFAULT_PROFILE.exists(), reason="the package golang-github-containers-common is absent")
def test_the_distributions_profile_keeps_the_kernel_out_of_reach() -> None:
    default = _allowed(load_profile(DEFAULT_CAPABILITIES, machine="x86_64"))
    dangerous = {"init_module", "finit_module", "kexec_load", "bpf", "perf_event_open", "settimeofday", "iopl"}
    assert not dangerous & default
    assert {"execve", "openat", "clone"} <= default
    every = _allowed(load_profile(tuple(ALL_CAPABILITIES), machine="x86_64"))
    assert {"init_module", "bpf", "settimeofday"} <= every
