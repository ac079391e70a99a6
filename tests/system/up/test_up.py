# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt up`` from nothing to a container's place to run, over kills of anything, and down again."""

import os
import signal
import stat
from dataclasses import replace

import pytest
from ovirtsdk4 import types

from covirt.common.process import run
from tests.support.covirt_up import Machine, new_machine
from tests.support.libvirtd import Libvirtd
from tests.support.waiting import free_port, wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

OURS = {"virtocid", "covirt-engine", "covirt-host", "dhcp"}


@pytest.mark.timeout(400)  # four times up, and each daemon killed, on a machine that is busy
def test_from_nothing_over_kills_to_nothing(libvirtd: Libvirtd) -> None:
    with new_machine() as machine:
        told = machine.up().stdout.decode()
        _is_complete(machine, told)
        before = machine.pids
        assert set(before) == OURS  # libvirtd is the test's
        assert "everything is up" in machine.up().stdout.decode()
        assert machine.pids == before
        moved = replace(machine, port=free_port()).up(check=False)
        assert f"covirt-engine runs on port {machine.port}; covirt down" in moved.complaint
        _whoever_is_killed_comes_back(machine)
        ended = machine.down()
        assert all(name in ended for name in OURS)
        assert machine.status["ready"] is False
        assert libvirtd.virsh("uri").status == 0
        assert machine.down() == "nothing of covirt up runs here\n"
        elsewhere = replace(machine, host_port=free_port()).up(check=False)
        assert f"the engine knows the port {machine.host_port}" in elsewhere.complaint
        machine = replace(machine, port=free_port())
        told = machine.up().stdout.decode()
        _is_complete(machine, told)
        assert f":{machine.port}/" in machine.status["url"]


def _is_complete(machine: Machine, told: str) -> None:
    status = machine.status
    assert status["ready"] is True
    assert {state["state"] for state in status["daemons"].values()} == {"running"}, status
    password_file = machine.root.config_dir / "admin-password"
    assert str(password_file) == status["password_file"]
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    for fact in (status["url"], status["user"], status["ca_file"], password_file.read_text().strip()):
        assert fact in told
    with machine.connection() as connection:
        system = connection.system_service()
        (host,) = system.hosts_service().list()
        assert host.status is types.HostStatus.UP
        features = system.clusters_service().cluster_service(host.cluster.id).enabled_features_service().list()
        assert [feature.name for feature in features] == ["containers"]
        (center,) = system.data_centers_service().list()
        assert (center.local, center.status) == (True, types.DataCenterStatus.UP)
        attached = system.data_centers_service().data_center_service(center.id).storage_domains_service()
        wait_until(lambda: attached.list()[0].status is types.StorageDomainStatus.ACTIVE, what="storage")
        (attachment,) = system.hosts_service().host_service(host.id).network_attachments_service().list()
        assert system.networks_service().network_service(attachment.network.id).get().name == "ovirtmgmt"
    assert "masquerade" in run(["nft", "list", "ruleset"], timeout_seconds=10).stdout.decode()


def _whoever_is_killed_comes_back(machine: Machine) -> None:
    killed = machine.pids
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(machine.pids.values()) & set(killed.values()), what="the killed to be gone")
    wait_until(lambda: machine.status["ready"], timeout_seconds=60, what="all to run again")
    # The supervisor itself: what it looked after goes on, and the next one finds it.
    found = machine.root.run_dir / "covirt-up.lock"
    before = machine.pids
    os.kill(int(found.read_text()), signal.SIGKILL)
    machine.up()
    assert machine.pids == before
    os.kill(before["dhcp"], signal.SIGKILL)
    wait_until(lambda: machine.pids.get("dhcp", before["dhcp"]) != before["dhcp"], what="a new DHCP server")


def test_a_set_up_that_is_killed_is_simply_repeated(libvirtd: Libvirtd) -> None:
    with new_machine() as machine:
        with machine.begin_up() as child:
            wait_until(
                (machine.root.path / "etc/pki/vdsm/certs/vdsmcert.pem").exists,
                timeout_seconds=60,
                what="a certificate",
            )
            child.signal(signal.SIGKILL)
            child.wait(timeout_seconds=30)
        assert machine.status["ready"] is False
        told = machine.up().stdout.decode()
        _is_complete(machine, told)
