# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Containers with a restart policy: one restarter, told as a reboot that takes a while, and a user's stop wins."""

from collections.abc import Iterator

import pytest

from covirt.common.root import Root
from tests.support.host_vms import HostVms, container_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

_WAITS = "RebootInProgress"


@pytest.fixture
def host(root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid) -> Iterator[HostVms]:
    with serve_vms(root_dir, oci_uri=virtocid.uri, qemu_uri=libvirtd.uri) as running:
        yield running


def waiting(host: HostVms) -> str:
    """A container that has failed often enough for its next start to be seconds away."""
    vm_id = host.create(container_xml("fails", "false", containerRestart="on-failure"))
    wait_until(lambda: host.statuses(vm_id).count(_WAITS) >= 2)
    return vm_id


@pytest.mark.parametrize("verb", ["VM.shutdown", "VM.destroy"])
def test_a_users_stop_wins(host: HostVms, virtocid: Virtocid, verb: str) -> None:
    vm_id = waiting(host)
    host.call(verb, vmID=vm_id)
    wait_until(lambda: host.status(vm_id) in ("Down", None))
    assert host.statuses(vm_id)[-1] == "Down"
    assert host.statuses(vm_id).count("Down") == 1
    assert host.events(vm_id)[-1]["exitReason"] == 6
    if verb == "VM.shutdown":
        assert virtocid.tell("domstate", "fails").startswith("shut off")
        assert "starts again" not in virtocid.tell("dominfo", "fails")


def test_virtocid_is_killed_while_one_waits(host: HostVms, virtocid: Virtocid) -> None:
    """It is followed through, and never told to be down."""
    vm_id = waiting(host)
    virtocid.kill()
    wait_until(lambda: host.stats(vm_id)["monitorResponse"] == "-1")
    virtocid.start()
    before = host.statuses(vm_id).count(_WAITS)
    wait_until(lambda: host.statuses(vm_id).count(_WAITS) > before, timeout_seconds=60)
    assert "Down" not in host.statuses(vm_id)


def test_the_agent_is_killed_while_one_waits(root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid) -> None:
    first = HostVms(root_dir, oci_uri=virtocid.uri, qemu_uri=libvirtd.uri)
    first.part.start()
    vm_id = waiting(first)
    first.part.stop()
    with serve_vms(root_dir, oci_uri=virtocid.uri, qemu_uri=libvirtd.uri) as host:
        assert host.status(vm_id) in (_WAITS, "Up")
        wait_until(lambda: host.status(vm_id) == _WAITS)
        host.call("VM.shutdown", vmID=vm_id)
        wait_until(lambda: host.status(vm_id) == "Down")
        assert host.statuses(vm_id).count("Down") == 1
