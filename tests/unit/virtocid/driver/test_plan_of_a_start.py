# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From definition and image to what the OCI layer is asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from covirt.oci.image.model import ContainerImage, parse_config
from covirt.virtocid.config import ContainerConfig
from covirt.virtocid.driver import node
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.errors import BadArgument, NothingToRun
from covirt.virtocid.driver.plan import Plan, id_map
from tests.support.virtocid import domain_xml

MIB = 1 << 20
PROCESS = {
    "Entrypoint": ["/entry"],
    "Cmd": ["default", "words"],
    "Env": ["PATH=/bin", "LEVEL=image"],
    "WorkingDir": "/srv",
    "User": "web:logs",
}


def image(**config: object) -> ContainerImage:
    return ContainerImage(
        name="busybox",
        path=Path("/image"),
        digest=f"sha256:{'0' * 64}",
        architecture="amd64",
        size_bytes=1,
        volumes=(),
        filesystem="erofs",
        filesystem_bytes=4096,
        config=parse_config({"config": PROCESS | config})[0],
    )


def plan(os: str = "", *, more: str = "", settings: str = "", devices: str = "", memory_mib: int = 64) -> Plan:
    text = domain_xml("web one", (), memory_mib=memory_mib, more=more, settings=settings, devices=devices)
    text = text.replace("<type>exe</type>", f"<type>exe</type>{os}")
    return Plan(config=parse_domain(text), image=image(), defaults=ContainerConfig())


@pytest.mark.parametrize(
    ("os", "expected"),
    [
        ("", ("/entry", "default", "words")),
        ("<initarg>mine</initarg>", ("/entry", "mine")),
        ("<init>/mine</init>", ("/mine",)),
        ("<init>/mine</init><initarg>a b</initarg><initarg>c</initarg>", ("/mine", "a b", "c")),
    ],
)
def test_arguments(os: str, expected: tuple[str, ...]) -> None:
    assert plan(os).arguments == expected


def test_nothing_to_run_is_known_before_anything_is_made() -> None:
    empty = replace(plan(), image=image(Entrypoint=[], Cmd=[]))
    with pytest.raises(NothingToRun, match="'web one'"):
        empty.check()


def test_environment_of_the_definition_lies_over_the_images() -> None:
    planned = plan("<initenv name='LEVEL'>definition</initenv><initenv name='MORE'>a=b</initenv>")
    assert dict(planned.environment) == {"PATH": "/bin", "LEVEL": "definition", "MORE": "a=b"}


@pytest.mark.parametrize(
    ("os", "user"),
    [
        ("", "web:logs"),
        ("<inituser>7</inituser>", "7"),
        ("<initgroup>8</initgroup>", "web:8"),
        ("<inituser>7</inituser><initgroup>8</initgroup>", "7:8"),
    ],
)
def test_user(os: str, user: str) -> None:
    assert plan(os).user == user


def test_directory() -> None:
    assert plan().working_directory == "/srv"
    assert plan("<initdir>/mine</initdir>").working_directory == "/mine"
    assert replace(plan(), image=image(WorkingDir="")).working_directory == "/"


def test_the_host_name_is_made_from_the_name() -> None:
    assert plan().hostname == "web-one"
    assert plan(settings="<covirt:hostname>mine</covirt:hostname>").hostname == "mine"
    unspeakable = replace(plan().config, name="ä ö")
    assert replace(plan(), config=unspeakable).hostname == "container"
    assert len(replace(plan(), config=replace(unspeakable, name="x" * 200)).hostname) <= 63


def test_memory_is_a_limit_without_swap() -> None:
    resources = plan(memory_mib=64).resources()
    assert resources.memory_limit_bytes == resources.memory_swap_limit_bytes == 64 * MIB


@pytest.mark.parametrize(
    ("tune", "limit_mib", "swap_mib"),
    [
        ("<hard_limit unit='MiB'>32</hard_limit>", 32, 32),
        ("<hard_limit unit='MiB'>128</hard_limit>", 64, 64),
        ("<swap_hard_limit unit='MiB'>96</swap_hard_limit>", 64, 96),
        ("<swap_hard_limit unit='MiB'>16</swap_hard_limit>", 64, 64),  # less than the memory is none
    ],
)
def test_memory_tuning(tune: str, limit_mib: int, swap_mib: int) -> None:
    resources = plan(more=f"<memtune>{tune}</memtune>").resources()
    assert resources.memory_limit_bytes == limit_mib * MIB
    assert resources.memory_swap_limit_bytes == swap_mib * MIB


@pytest.mark.parametrize(
    ("cputune", "period_us", "quota_us"),
    [
        ("<period>50000</period><quota>20000</quota>", 50_000, 40_000),  # for each of two processors
        ("<quota>20000</quota>", 100_000, 40_000),
        ("<quota>-1</quota>", 100_000, None),
        ("<global_period>50000</global_period><global_quota>20000</global_quota>", 50_000, 20_000),
        ("<global_quota>20000</global_quota><quota>1000</quota>", 100_000, 20_000),
        ("<global_quota>-1</global_quota><quota>1000</quota>", 100_000, None),
    ],
)
def test_cpu_bandwidth(cputune: str, period_us: int, quota_us: int | None) -> None:
    resources = plan(more=f"<vcpu>2</vcpu><cputune>{cputune}</cputune>").resources()
    assert (resources.cpu_period_us, resources.cpu_quota_us) == (period_us, quota_us)


def test_as_many_processors_as_the_host_has_are_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "online_cpus", lambda: (0, 1, 2, 3))
    assert plan(more="<vcpu>4</vcpu>").resources().cpu_quota_us is None
    assert plan(more="<vcpu>3</vcpu>").resources().cpu_quota_us == 300_000


def test_pins_bound_where_it_runs() -> None:
    pins = "<vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='1' cpuset='2-3'/>"
    assert plan(more="<vcpu cpuset='5'>1</vcpu>").resources().cpuset == "5"
    assert plan(more=f"<vcpu>2</vcpu><cputune>{pins}</cputune>").resources().cpuset in ("0,2,3", "0,2-3")


def test_processes_are_limited_by_default() -> None:
    assert plan().resources().pids_limit == ContainerConfig().pids_limit
    assert plan(settings="<covirt:processes limit='7'/>").resources().pids_limit == 7


def test_memory_file_systems() -> None:
    devices = (
        "<filesystem type='ram'><source usage='8' units='MiB'/><target dir='/cache'/></filesystem>"
        "<filesystem type='ram'><source usage='1' units='MiB'/><target dir='/fixed'/><readonly/></filesystem>"
    )
    cache, fixed = plan(devices=devices).memory_mounts
    assert (cache.destination, cache.filesystem) == ("/cache", "tmpfs")
    assert f"size={8 * MIB}" in cache.options
    assert "ro" not in cache.options
    assert "ro" in fixed.options
    for each in (cache, fixed):
        assert {"nosuid", "nodev"} <= set(each.options)


def test_a_domain_has_65536_ids_of_its_own() -> None:
    idmap = id_map(plan().config, 196_608)
    assert (idmap.uid_first, idmap.gid_first, idmap.count) == (196_608, 196_608, 65_536)


def test_a_mapping_of_the_definition_is_taken() -> None:
    ranges = "<uid start='0' target='70000' count='10'/><uid start='10' target='90000' count='5'/>"
    idmap = id_map(plan(more=f"<idmap>{ranges}{ranges.replace('uid', 'gid')}</idmap>").config, 196_608)
    assert (idmap.uid_first, idmap.count) == (70_000, 10)
    assert [(each.inside, each.outside, each.count) for each in idmap.more_uids] == [(10, 90_000, 5)]


def test_a_mapping_of_users_and_groups_of_different_size_is_refused() -> None:
    ranges = "<uid start='0' target='70000' count='10'/><gid start='0' target='70000' count='11'/>"
    with pytest.raises(BadArgument, match="<idmap>"):
        id_map(plan(more=f"<idmap>{ranges}</idmap>").config, 196_608)
