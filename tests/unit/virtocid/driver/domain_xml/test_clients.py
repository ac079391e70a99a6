# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What real clients write, and what they get back."""

from pathlib import Path

import pytest

from covirt.virtocid.driver.domain_xml import LiveState, format_domain, parse_domain
from tests.support.golden import Golden

DATA = Path(__file__).resolve().parents[2] / "data"
NAMES = sorted(path.name.removesuffix(".in.xml") for path in DATA.glob("*.in.xml"))

LIVE = LiveState(
    domain_id=12,
    interface_names=("cvabcdef0", "cvabcdef1"),
    interface_bridges=("virbr0", "virbr0"),
    console_path="/dev/pts/4",
    runtime="runc",
    agent_connected=True,
)


def read(name: str) -> str:
    return (DATA / f"{name}.in.xml").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_inactive(name: str, golden: Golden) -> None:
    golden(DATA / f"{name}.out.xml", format_domain(parse_domain(read(name)), secure=True))


@pytest.mark.parametrize("name", NAMES)
def test_live(name: str, golden: Golden) -> None:
    golden(DATA / f"{name}.live.xml", format_domain(parse_domain(read(name)), live=LIVE, secure=False))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost(name: str) -> None:
    config = parse_domain(read(name))
    assert parse_domain(format_domain(config, secure=True)) == config


def unknown(name: str) -> list[str]:
    return [item.xpath for item in parse_domain(read(name)).unknown]


def test_what_clients_write_for_machines_is_not_reported() -> None:
    assert unknown("virt-install") == []
    assert unknown("ovirt") == ["/domain/devices/interface/bandwidth"]


def test_devices_that_only_machines_have_are_named_once() -> None:
    devices = parse_domain(read("ovirt")).machine_devices
    assert devices == ("channel", "controller", "graphics", "input", "memballoon", "rng", "video")
    twice = read("ovirt").replace("<memballoon", "<sound model='ich6'/><sound model='ich6'/><memballoon")
    assert "sound (2)" in parse_domain(twice).machine_devices


def test_what_would_have_an_effect_elsewhere_is_reported() -> None:
    assert unknown("libvirt-lxc") == [
        "/domain/devices/interface[1]/ip[2]/@peer",
        "/domain/devices/console/log/@append",
        "/domain/cputune/emulatorpin",
        "/domain/on_crash",
        "/domain/devices/hostdev",
    ]


WITH_PEER = "<interface type='bridge'><source bridge='b'/><ip address='192.0.2.1' peer='192.0.2.2'/></interface>"


@pytest.mark.parametrize(
    ("xml", "xpath"),
    [
        ("<on_crash>coredump-restart</on_crash>", "/domain/on_crash"),
        ("<on_poweroff>rename-restart</on_poweroff>", "/domain/on_poweroff"),
        ("<on_reboot>preserve</on_reboot>", "/domain/on_reboot"),
        ("<memtune><min_guarantee>4096</min_guarantee></memtune>", "/domain/memtune/min_guarantee"),
        ("<cputune><emulator_quota>5000</emulator_quota></cputune>", "/domain/cputune/emulator_quota"),
        ("<cputune><emulatorpin cpuset='0'/></cputune>", "/domain/cputune/emulatorpin"),
        (
            f"<devices>{WITH_PEER}</devices>",
            "/domain/devices/interface/ip/@peer",
        ),
        (
            "<devices><console type='pty'><log file='/var/log/a' append='off'/></console></devices>",
            "/domain/devices/console/log/@append",
        ),
    ],
)
def test_what_is_understood_without_an_effect_is_reported(xml: str, xpath: str) -> None:
    text = f"<domain type='oci'><name>a</name><memory unit='MiB'>64</memory>{xml}</domain>"
    config = parse_domain(text, image_required=False)
    assert [item.xpath for item in config.unknown] == [xpath]
    assert parse_domain(format_domain(config, secure=True), image_required=False) == config


def test_ovirts_own_container_element_names_image_and_runtime() -> None:
    config = parse_domain(read("ovirt"))
    # The cdrom is more precise; without it, oVirt's element counts.
    assert config.image == "/rhev/data-center/p/d/images/i/v"
    assert config.ovirt is not None
    assert config.ovirt.image == "redis"
    assert config.runtime is None


@pytest.mark.parametrize(
    ("filesystem", "image"),
    [
        ("<filesystem type='template'><source name='web'/><target dir='/'/></filesystem>", "web"),
        ("<filesystem type='file'><source file='/srv/web.raw'/><target dir='/'/></filesystem>", "/srv/web.raw"),
        ("<disk device='cdrom'><source file='/srv/web.raw'/><target dev='hda'/></disk>", "/srv/web.raw"),
    ],
)
def test_an_image_is_named_as_virt_install_can(filesystem: str, image: str) -> None:
    xml = f"<domain type='oci'><name>a</name><memory unit='MiB'>64</memory><devices>{filesystem}</devices></domain>"
    config = parse_domain(xml)
    assert config.image == image
    assert parse_domain(format_domain(config, secure=True)) == config


def test_units_and_defaults_are_resolved() -> None:
    config = parse_domain(read("libvirt-lxc"))
    assert config.memory_kib == 500 * 1024
    assert config.current_memory_kib == 102400
    assert config.memory_tune.hard_limit_kib == 1024 * 1024
    assert config.memory_tune.swap_hard_limit_kib is None
    assert (config.vcpus, config.current_vcpus, config.cpuset) == (4, 1, "0-3,^2")
    assert config.process.arguments == ("--unit", "emergency.service", "")
    assert dict(config.process.environment) == {"MYENV": "some  value <1>", "EMPTY": ""}
    assert config.root_filesystem is not None
    assert config.root_filesystem.source == "/srv/roots/svc"
    assert [item.size_bytes for item in config.filesystems] == [None, 64 * 1024 * 1024, None, None]
    first, second = config.interfaces
    assert [item.cidr for item in first.addresses] == ["192.168.122.5/24", "192.168.122.6/24", "2001:db8::5/64"]
    assert [(item.destination, item.metric) for item in first.routes] == [
        ("0.0.0.0/0", None),
        ("10.0.0.0/8", 2),
        ("::/0", None),
    ]
    assert (first.filter_off, first.link_up, first.mtu, first.guest_name, first.alias) == (
        True,
        False,
        1400,
        "eth1",
        None,
    )
    assert (second.source, second.alias, second.filter_off) == ("default", "ua-second", False)
    assert config.consoles[0].path is None
    assert config.terminal
