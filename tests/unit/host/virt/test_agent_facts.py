# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an agent says becomes Vdsm's words; what it makes up does no harm."""

from covirt.host.virt.agent_facts import cpu_facts, guest_facts, interface_facts

ADDRESSES = {
    "lo": {"hwaddr": "00:00:00:00:00:00", "addrs": [{"type": 0, "addr": "127.0.0.1"}, {"type": 1, "addr": "::1"}]},
    "eth0": {
        "hwaddr": "52:54:00:00:00:01",
        "addrs": [
            {"type": 0, "addr": "192.0.2.5"},
            {"type": 1, "addr": "fe80::1"},
            {"type": 1, "addr": "2001:db8::5"},
        ],
    },
    "eth1": {"hwaddr": "52:54:00:00:00:02", "addrs": None},
}


def test_interfaces() -> None:
    facts = interface_facts(ADDRESSES)
    assert facts["guestIPs"] == "192.0.2.5 2001:db8::5"
    assert facts["netIfaces"] == [
        {"name": "lo", "hw": "00:00:00:00:00:00", "inet": ["127.0.0.1"], "inet6": ["::1"]},
        {
            "name": "eth0",
            "hw": "52:54:00:00:00:01",
            "inet": ["192.0.2.5"],
            "inet6": ["fe80::1", "2001:db8::5"],
        },
        {"name": "eth1", "hw": "52:54:00:00:00:02", "inet": [], "inet6": []},
    ]


def test_a_linux_guest() -> None:
    facts = guest_facts(
        {
            "hostname": "web",
            "os.id": "debian",
            "os.name": "Debian GNU/Linux",
            "os.kernel-release": "6.1.0",
            "os.machine": "x86_64",
            "os.version-id": "12",
            "timezone.offset": 3600,
            "timezone.name": "CET",
            "user.count": 2,
            "user.0.name": "ann",
            "user.1.name": "bob",
            "user.1.domain": "example",
            "fs.count": 2,
            "fs.0.mountpoint": "/",
            "fs.0.fstype": "ext4",
            "fs.0.total-bytes": 100,
            "fs.0.used-bytes": 40,
            "fs.1.mountpoint": "/boot",
        }
    )
    assert (facts["guestName"], facts["guestFQDN"], facts["guestOs"]) == ("web", "web", "6.1.0")
    assert facts["appsList"] == ["kernel-6.1.0"]
    assert facts["guestTimezone"] == {"offset": 60, "zone": "CET"}
    assert facts["username"] == "ann, bob@example"
    assert facts["disksUsage"] == [{"path": "/", "fs": "ext4", "total": "100", "used": "40"}]
    info = facts["guestOsInfo"]
    assert isinstance(info, dict)
    assert (info["distribution"], info["version"], info["codename"]) == ("Debian GNU/Linux", "12", "")


def test_a_windows_guest() -> None:
    facts = guest_facts({"os.id": "mswindows", "os.pretty-name": "Windows Server 2022", "os.version-id": "2022"})
    assert facts["guestOs"] == "Windows Server 2022"


def test_nothing_is_asked_of_what_was_not_said() -> None:
    assert guest_facts({}) == {}
    assert interface_facts({}) == {"netIfaces": [], "guestIPs": ""}


def test_cpus() -> None:
    assert cpu_facts({"online": "0-3,6"}) == {"guestCPUCount": 5}
    assert cpu_facts({"online": "a-b"}) == {"guestCPUCount": -1}
    assert cpu_facts({}) == {"guestCPUCount": -1}


def test_a_guest_that_makes_things_up() -> None:
    many = {"user.count": 10**9, "fs.count": 10**9, "hostname": "x\n\x1b[31m" + "y" * 10_000}
    facts = guest_facts(many)
    assert len(str(facts["guestName"])) <= 1024
    assert "\n" not in str(facts["guestName"])
    interfaces = {f"eth{index}": {"addrs": [{"type": 0, "addr": "10.0.0.1"}] * 1000} for index in range(1000)}
    assert len(str(interface_facts(interfaces))) < 2_000_000
