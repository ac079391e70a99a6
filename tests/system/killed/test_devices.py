# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon while devices come and go: what it tells of afterwards is there, and nothing else is."""

import random
import threading
from contextlib import suppress

import libvirt
import pytest

from tests.support.hotplug import targets
from tests.support.network import LinuxBridge
from tests.support.traces import traces_of_runs
from tests.support.virtocid import SERVICE, Virtocid, bridge_device
from tests.support.waiting import wait_until
from tests.system.killed.steps import nothing_is_left
from tests.system.test_hot_filesystems import RAM
from tests.system.test_network import links

_MAC = "52:54:00:aa:00:01"
_BOTH = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again(virtocid: Virtocid, linux_bridge: LinuxBridge, seed: int) -> None:
    """At random moments while a client attaches and detaches as fast as it can, in both places."""
    virtocid.run("web", SERVICE)
    devices = (bridge_device(linux_bridge.name, more=f"<mac address='{_MAC}'/>"), RAM.format("/a/b"))
    dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for _ in range(4):
        stop = threading.Event()
        client = threading.Thread(target=busy_client, args=(virtocid, devices, stop), name="client")
        client.start()
        stop.wait(dice.uniform(0.02, 0.6))
        virtocid.kill()
        stop.set()
        client.join()
        virtocid.start()
        agrees_with_the_container(virtocid)
    virtocid.remove_domains()
    nothing_is_left(virtocid)


def busy_client(virtocid: Virtocid, devices: tuple[str, ...], stop: threading.Event) -> None:
    """Until the daemon is killed, which every call may tell."""
    with suppress(libvirt.libvirtError), virtocid.connect() as connection:
        domain = connection.lookupByName("web")
        for device in devices:
            with suppress(libvirt.libvirtError):  # it may be there from before
                domain.detachDeviceFlags(device, _BOTH)
        while not stop.is_set():
            for device in devices:
                domain.attachDeviceFlags(device, _BOTH)
            for device in devices:
                domain.detachDeviceFlags(device, _BOTH)


def agrees_with_the_container(virtocid: Virtocid) -> None:
    """What it tells is the same of the run and of the definition, and is what the container has."""
    live, stored = virtocid.tell("dumpxml", "web"), virtocid.tell("dumpxml", "web", "--inactive")
    interface, filesystem = _MAC in live, "/a/b" in live
    assert (interface, filesystem) == (_MAC in stored, "/a/b" in stored)
    assert ("eth0" in links(virtocid, "web")) == interface
    assert ("/a/b" in targets(virtocid)) == filesystem
    veths = [trace for trace in traces_of_runs(virtocid.root) if trace.startswith("interface ")]
    assert len(veths) == interface
    wait_until(lambda: virtocid.state("web").startswith("running"))
