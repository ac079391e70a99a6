# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""config.json: isolated unless asked otherwise, what is loosened is logged, and nonsense is refused."""

import json
import logging
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covirt.oci import limits, spec
from covirt.oci.capabilities import DEFAULT_CAPABILITIES, capability_set
from covirt.oci.idmap import IdMap
from covirt.oci.isolation_errors import BadSpecRequest, ReaperMissing, UnmappedUser
from covirt.oci.limits import Rlimit
from covirt.oci.resources import BlockIoLimit, Resources, spec_resources
from covirt.oci.spec import Mount, SpecRequest, build_spec, loosened
from covirt.oci.users import ResolvedUser

REQUEST = SpecRequest(
    owner="shop",
    hostname="shop.example.org",
    arguments=("/bin/server", "--port", "80"),
    rootfs=Path("/run/x/rootfs"),
    user=ResolvedUser(uid=101, gid=102, additional_gids=(103,), home="/srv"),
    idmap=IdMap(uid_first=1_000_000, gid_first=1_000_000, count=65_536),
    user_namespace=Path("/run/x/user"),
    network_namespace=Path("/run/x/network"),
    cgroups_path="/machine/shop/container",
    seccomp={"defaultAction": "SCMP_ACT_ERRNO"},
)


def _mounts(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["destination"]: each for each in content["mounts"]}


def test_the_default_is_isolated(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        content = json.loads(json.dumps(build_spec(REQUEST)))
    assert not caplog.records
    assert loosened(REQUEST) == ()
    kinds = {each["type"]: each.get("path") for each in content["linux"]["namespaces"]}
    assert kinds.keys() == {"pid", "ipc", "uts", "mount", "cgroup", "user", "network"}
    assert (kinds["user"], kinds["network"]) == ("/run/x/user", "/run/x/network")
    process = content["process"]
    assert process["noNewPrivileges"] is True
    assert set(process["capabilities"]["bounding"]) == set(DEFAULT_CAPABILITIES)
    assert not process["capabilities"].keys() & {"inheritable", "ambient"}
    assert content["linux"]["seccomp"] == REQUEST.seccomp
    assert content["linux"]["resources"]["pids"] == {"limit": 2048}
    assert content["linux"]["resources"]["devices"] == [{"allow": False, "access": "rwm"}]
    assert "/proc/kcore" in content["linux"]["maskedPaths"]
    assert "/proc/sys" in content["linux"]["readonlyPaths"]
    for place in ("/sys", "/sys/fs/cgroup"):
        assert "ro" in _mounts(content)[place]["options"]


def test_everything_loosened_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    loose = replace(
        REQUEST,
        seccomp=None,
        no_new_privileges=False,
        capabilities=capability_set(add=["net_raw"]),
        masked_paths=(),
        readonly_paths=(),
        resources=Resources(pids_limit=None),
        idmap=IdMap(uid_first=0, gid_first=0, count=65_536),
        oom_score_adj=-5,
    )
    content = build_spec(loose)
    (record,) = [each for each in caplog.records if each.name == spec.__name__]
    assert record.levelno == logging.WARNING
    for words in ("shop", "system call filter", "privileges", "CAP_NET_RAW", "/proc/kcore", "/proc/sys", "root of"):
        assert words in record.getMessage()
    assert "seccomp" not in content["linux"]
    assert "pids" not in content["linux"]["resources"]


def test_the_environment_has_defaults_that_the_request_overrides() -> None:
    environment = (("HOME", "/elsewhere"), ("EMPTY", ""), ("EQUALS", "a=b"))
    content = build_spec(replace(REQUEST, environment=environment, terminal=True))
    words = content["process"]["env"]
    assert {"HOME=/elsewhere", "EMPTY=", "EQUALS=a=b", "HOSTNAME=shop.example.org", "TERM=xterm"} <= set(words)
    assert len({word.partition("=")[0] for word in words}) == len(words)
    assert "HOME=/srv" in build_spec(REQUEST)["process"]["env"]


def test_mounts_are_ordered_and_may_replace_defaults() -> None:
    mounts = (
        Mount(source="/b", destination="/data/inner"),
        Mount(source="/a", destination="/data"),
        Mount(source="tmpfs", destination="/dev/shm", filesystem="tmpfs", options=("size=1m",)),
    )
    content = build_spec(replace(REQUEST, mounts=mounts))
    places = [each["destination"] for each in content["mounts"]]
    assert places.index("/data") < places.index("/data/inner")
    assert places.count("/dev/shm") == 1
    assert _mounts(content)["/dev/shm"]["options"] == ["size=1m"]
    sized = build_spec(replace(REQUEST, shm_size_bytes=1 << 20))
    assert "size=1048576" in _mounts(sized)["/dev/shm"]["options"]


def test_the_reaper_comes_first_and_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "catatonit"
    program.touch()
    monkeypatch.setattr(spec, "REAPER", program)
    content = build_spec(replace(REQUEST, reaper=True))
    arguments = content["process"]["args"]
    assert arguments[1:] == ["--", *REQUEST.arguments]
    assert _mounts(content)[arguments[0]]["source"] == str(program)
    assert "noexec" not in _mounts(content)["/dev"]["options"]
    monkeypatch.setattr(spec, "REAPER", tmp_path / "absent")
    with pytest.raises(ReaperMissing, match="catatonit"):
        build_spec(replace(REQUEST, reaper=True))


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": ()},
        {"arguments": ("",)},
        {"arguments": ("a\0b",)},
        {"working_directory": "srv"},
        {"hostname": "two words"},
        {"hostname": "-x"},
        {"environment": (("", "x"),)},
        {"environment": (("A=B", "x"),)},
        {"capabilities": ("CAP_EVERYTHING",)},
        {"sysctls": (("kernel.core_pattern", "|/bin/x"),)},
        {"sysctls": (("kernel.hostname", "x"),)},
        {"sysctls": (("vm.overcommit_memory", "1"),)},
        {"mounts": (Mount(source="/a", destination="data"),)},
        {"mounts": (Mount(source="/a", destination="/data/../etc"),)},
        {"rlimits": (Rlimit(name="files", soft=1, hard=1),)},
        {"rlimits": (Rlimit(name="nofile", soft=2, hard=1),)},
        {"rlimits": (Rlimit(name="nofile", soft=None, hard=1),)},
        {"oom_score_adj": 2000},
    ],
)
def test_nonsense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadSpecRequest):
        build_spec(replace(REQUEST, **change))


def test_a_user_outside_of_the_mapping_is_refused() -> None:
    for user in (ResolvedUser(uid=70_000, gid=0), ResolvedUser(uid=0, gid=0, additional_gids=(70_000,))):
        with pytest.raises(UnmappedUser):
            build_spec(replace(REQUEST, user=user))


def test_sysctls_of_the_container_are_let_through() -> None:
    wanted = (("net.ipv4.ip_forward", "1"), ("kernel.shmmax", "4096"), ("net.ipv4.ping_group_range", "1 0"))
    content = build_spec(replace(REQUEST, sysctls=wanted))
    assert content["linux"]["sysctl"] == dict(wanted)


def test_limits_are_lowered_to_the_hosts_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    content = build_spec(replace(REQUEST, rlimits=(Rlimit(name="nofile", soft=1, hard=None),)))
    (entry,) = [each for each in content["process"]["rlimits"] if each["type"] == "RLIMIT_NOFILE"]
    assert entry == {"type": "RLIMIT_NOFILE", "soft": 1, "hard": hard}
    (record,) = [each for each in caplog.records if each.name == limits.__name__]
    assert "owner=shop limit=nofile" in record.getMessage()


def test_no_limit_asks_for_more_than_the_host_has() -> None:
    for entry in build_spec(REQUEST)["process"]["rlimits"]:
        _, hard = resource.getrlimit(getattr(resource, entry["type"]))
        assert entry["soft"] <= entry["hard"]
        assert hard == resource.RLIM_INFINITY or entry["hard"] <= hard


def test_the_out_of_memory_score_never_goes_below_our_own() -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert build_spec(replace(REQUEST, oom_score_adj=-1000))["process"]["oomScoreAdj"] == own
    assert build_spec(replace(REQUEST, oom_score_adj=1000))["process"]["oomScoreAdj"] == 1000


def test_only_limits_that_were_given_are_written() -> None:
    assert spec_resources(Resources(pids_limit=None)).keys() == {"devices"}
    content = spec_resources(Resources(memory_limit_bytes=0, cpu_quota_us=-1, cpuset="0-1", block_io_weight=500))
    assert content["memory"] == {"limit": 0}
    assert content["cpu"] == {"quota": -1, "cpus": "0-1"}
    assert content["blockIO"] == {"weight": 500}


def test_limits_of_single_disks_come_in_a_list_for_each_kind() -> None:
    limits = (
        BlockIoLimit(major=8, minor=0, weight=200, read_bytes_per_second=1_000_000, write_operations_per_second=0),
        BlockIoLimit(major=8, minor=16, read_bytes_per_second=5, write_operations_per_second=7),
    )
    assert spec_resources(Resources(block_io_limits=limits))["blockIO"] == {
        "weightDevice": [{"major": 8, "minor": 0, "weight": 200}],
        "throttleReadBpsDevice": [
            {"major": 8, "minor": 0, "rate": 1_000_000},
            {"major": 8, "minor": 16, "rate": 5},
        ],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 7}],
    }


def test_capabilities_are_added_and_dropped_from_the_default() -> None:
    assert set(capability_set()) == set(DEFAULT_CAPABILITIES)
    assert set(capability_set(add=["NET_RAW"], drop=["cap_kill"])) == (
        set(DEFAULT_CAPABILITIES) | {"CAP_NET_RAW"}
    ) - {"CAP_KILL"}
    assert capability_set(drop=["all"], add=["chown"]) == ("CAP_CHOWN",)
    assert "CAP_SYS_ADMIN" in capability_set(add=["ALL"])
    with pytest.raises(BadSpecRequest, match="FLY"):
        capability_set(add=["FLY"])
