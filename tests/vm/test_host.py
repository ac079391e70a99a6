# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt-host under systemd: its hardening costs no storage, network or guest anything, and guests outlive it."""

import http.client
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.covirt_host import SECONDS, HostClient
from tests.support.guest import TinyGuest, build_guest
from tests.support.host_pool import BLANK, PoolOnHost, connect_pool, connect_server, create_volume, new_pool
from tests.support.waiting import wait_until
from tests.vm.host import GUEST_FILES, UNIT, EngineMemory, InstalledHost, memory_of, set_up_networks
from tests.vm.installed import InstalledVirtocid, output, systemctl, unit_property

pytestmark = pytest.mark.skipif(
    not Path("/usr/bin/covirt-host").exists(), reason="Debian packages are made for another release"
)

_MIB = 1 << 20
_NFS = 1


@pytest.fixture(scope="module")
def host(installed: InstalledVirtocid) -> InstalledHost:
    """``installed``: with an image for containers."""
    found = InstalledHost()
    found.enable()
    return found


@pytest.fixture
def client(host: InstalledHost) -> Iterator[HostClient]:
    with host.client() as found:
        yield found


@pytest.fixture(scope="module")
def guest() -> TinyGuest:
    GUEST_FILES.mkdir(exist_ok=True)
    return build_guest(GUEST_FILES)


@pytest.fixture(scope="module")
def pool(host: InstalledHost) -> PoolOnHost:
    """In a home directory, which many a unit's hardening hides."""
    export = Path("/home/disks")
    export.mkdir()
    with host.client() as client:
        return new_pool(client, export)


@pytest.fixture(scope="module")
def engine(host: InstalledHost, pool: PoolOnHost, guest: TinyGuest) -> EngineMemory:
    with host.client() as client:
        volumes = [create_volume(client, pool, size_bytes=size * _MIB) for size in (16, 64)]
        memory = memory_of(pool, volumes, guest)
        memory.start(client)
    memory.keep()
    return memory


def test_it_runs_with_less_than_root_has(host: InstalledHost) -> None:
    assert host.running
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{host.pid}/status").read_text().splitlines() if "\t" in line
    )
    bounding = int(status["CapBnd"], 16)
    sys_module, sys_boot, sys_time = 16, 22, 25
    assert not any(bounding >> number & 1 for number in (sys_module, sys_boot, sys_time))
    assert unit_property(UNIT, "NRestarts") == "0"


def test_check_finds_all_that_the_packages_bring(host: InstalledHost) -> None:
    told = output("covirt-host", "check", check=False)
    for what in ("user", "owner of storage files", "QEMU", "libvirtd", "containers", "ovirt-imageio", "certificate",
                 "firewall", "bridges", "bonds", "VLANs", "space"):  # fmt: skip
        assert re.search(rf"^ok +{what}: ", told, re.MULTILINE), told
    # The machine has no way to a time server.
    assert re.search(r"^MISSING +clock: not synchronised.*\n +-> timedatectl set-ntp true", told, re.MULTILINE), told


def test_check_names_a_port_that_the_firewall_closes(host: InstalledHost) -> None:
    output("nft", "add table inet shut")
    try:
        output("nft", "add chain inet shut input { type filter hook input priority 0; }")
        output("nft", "add rule inet shut input tcp dport 54322 drop")
        told = output("covirt-host", "check", check=False)
        assert "firewall: port 54322 is closed by nftables (table inet shut, chain input)" in told
        [remedy] = re.findall(r"-> (nft insert rule inet shut .*?) \(and", told)
        output(*remedy.split())
        assert re.search(r"^ok +firewall: ", output("covirt-host", "check", check=False), re.MULTILINE)
    finally:
        output("nft", "delete table inet shut")


@pytest.mark.parametrize("place", ["/root/deep/disks", "/opt/disks", "/mnt/loop"])
def test_storage_lies_anywhere(client: HostClient, place: str, tmp_path: Path) -> None:
    export = Path(place)
    export.mkdir(parents=True)
    output("chmod", "o+x", "/root")
    try:
        if place == "/mnt/loop":
            image = tmp_path / "disk"
            output("truncate", "--size=128M", str(image))
            output("mkfs.ext4", "-q", str(image))
            output("mount", "-o", "loop", str(image), place)
            output("rmdir", f"{place}/lost+found")
        made = new_pool(client, export)
        create_volume(client, made, size_bytes=_MIB)
        one = {"storagepoolID": made.pool_id}
        client.call("StoragePool.spmStop", one)
        client.call("StoragePool.disconnect", {**one, "hostID": 1, "scsiKey": made.pool_id, "remove": False})
    finally:
        if place == "/mnt/loop":
            output("umount", place)


def test_nfs_is_mounted_for_all_of_the_host(client: HostClient) -> None:
    export = Path("/srv/nfs")
    export.mkdir(parents=True)
    output("chown", "36:36", str(export))
    output("systemctl", "start", "nfs-server")
    output("exportfs", "-o", "rw,insecure,no_subtree_check", f"127.0.0.1:{export}")
    server = {"id": str(uuid4()), "connection": f"127.0.0.1:{export}", "user": "", "password": ""}
    params: dict[str, Any] = {"storagepoolID": BLANK, "domainType": _NFS, "connectionParams": [server]}
    assert client.call("StoragePool.connectStorageServer", params, seconds=SECONDS)[0]["status"] == 0
    assert "127.0.0.1:/srv/nfs" in output("findmnt", "--noheadings", "--type=nfs,nfs4", "--output=SOURCE")
    assert client.call("StoragePool.disconnectStorageServer", params, seconds=SECONDS)[0]["status"] == 0
    assert "127.0.0.1:/srv/nfs" not in output("findmnt", "--noheadings", "--type=nfs,nfs4", check=False)


def test_guests_of_both_kinds_outlive_it(host: InstalledHost, engine: EngineMemory) -> None:
    guests = engine.guests
    before = guests.pids()
    assert (Path("/proc") / str(before[0]) / "cgroup").read_text().startswith("0::/machine.slice/machine-qemu")
    for interruption in (host.restart, host.kill):
        interruption()
        assert guests.pids() == before
        with host.client() as client:
            guests.wait_until_up(client)
            assert set(client.call("Host.getVMList")[0]) >= {"vmId", "status"}
    with host.client() as client:
        client.call("VM.pause", {"vmID": guests.machine})
        wait_until(lambda: guests.statuses(client)[guests.machine] == "Paused", timeout_seconds=SECONDS)
        client.call("VM.cont", {"vmID": guests.machine})
        guests.wait_until_up(client)


def test_disks_go_in_through_the_packaged_image_daemon(
    host: InstalledHost, client: HostClient, engine: EngineMemory
) -> None:
    connect_pool(client, engine.pool_on_host)  # who managed it before a restart is asked to do so again
    ids = create_volume(client, engine.pool_on_host, size_bytes=_MIB)
    path = client.call("Image.prepare", {**ids, "allowIllegal": False})["path"]
    ticket = str(uuid4())
    client.call("Host.add_image_ticket", {"ticket": {
        "uuid": ticket, "size": _MIB, "url": f"file://{path}", "timeout": 600, "ops": ["write"],
    }}, seconds=SECONDS)  # fmt: skip
    data = b"covirt" * 1000
    assert _put(ticket, data) == 200
    host.restart()
    with host.client() as later:
        assert later.call("Host.get_image_ticket", {"uuid": ticket})["transferred"] == len(data)
        later.call("Host.remove_image_ticket", {"uuid": ticket})
        later.call("Image.teardown", ids)
    assert Path(path).resolve().read_bytes().startswith(data)


def _put(ticket: str, data: bytes) -> int:
    context = ssl.create_default_context(cafile="/etc/pki/vdsm/certs/cacert.pem")
    connection = http.client.HTTPSConnection("localhost", 54322, timeout=SECONDS, context=context)
    headers = {"Content-Range": f"bytes 0-{len(data) - 1}/*"}
    connection.request("PUT", f"/images/{ticket}", body=data, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_networks_under_the_hardening(client: HostClient) -> None:
    """eth1 has a DHCP server at its other end."""
    set_up_networks(client, {
        "lan": {"bridged": True, "nic": "eth1", "bootproto": "dhcp"},
        "tagged": {"bridged": True, "nic": "eth1", "vlan": 5, "ipaddr": "192.0.2.5", "netmask": "255.255.255.0"},
        "guests": {"bridged": True},
    })  # fmt: skip
    facts = client.call("Host.getCapabilities")
    assert facts["networks"]["lan"]["addr"].startswith("10.0.3.")
    assert facts["networks"]["tagged"]["addr"] == "192.0.2.5"
    assert facts["netConfigDirty"] == "True"
    assert client.call("Host.setSafeNetworkConfig") is True
    set_up_networks(client, {"fleeting": {"bridged": True}})


def test_every_line_of_the_journal_says_what_part_of_it_speaks(host: InstalledHost) -> None:
    lines = host.journal()
    assert lines
    strange = [line for line in lines if not re.match(r"(DEBUG|INFO|WARNING|ERROR) +covirt\.\S+ \[\S+\] \S", line)]
    assert strange == []
    assert not [line for line in lines if line.startswith("ERROR")]


def test_it_is_left_for_the_reboot(host: InstalledHost, engine: EngineMemory) -> None:
    """The last one: tests/vm/rebooted begins where this ends."""
    with host.client() as client:
        connect_server(client, engine.pool_on_host)
        engine.guests.wait_until_up(client)
    assert systemctl("is-enabled", UNIT) == "enabled"
