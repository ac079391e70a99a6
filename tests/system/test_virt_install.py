# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Debian's virt-install makes containers: by image file or by name, on a bridge, a libvirt network, or none."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from covirt.common.process import Completed, run
from tests.support.libvirtd import Libvirtd
from tests.support.network import LinuxBridge, fetch
from tests.support.virtocid import SECONDS, Virtocid
from tests.support.xml_facts import fact, facts

_ROOT = "type=template,source=busybox,target=/"


def virt_install(virtocid: Virtocid, name: str, *options: str) -> Completed:
    """As a user types it; the status is the caller's to judge."""
    words = ["/usr/bin/virt-install", "--connect", virtocid.uri, "--container", "--noautoconsole"]
    return run([*words, "--name", name, "--memory", "64", *options], timeout_seconds=SECONDS, check=False)


def made(virtocid: Virtocid, name: str, *options: str) -> str:
    """Make a container that must run; its live XML."""
    completed = virt_install(virtocid, name, *options)
    assert completed.status == 0, completed.stderr.decode()
    assert virtocid.state(name) == "running (booted)"
    return virtocid.tell("dumpxml", name)


def refused(virtocid: Virtocid, name: str, *options: str) -> str:
    completed = virt_install(virtocid, name, *options)
    assert completed.status != 0
    assert virtocid.tell("list", "--all", "--name") == ""
    return completed.stderr.decode()


def test_image_file_on_a_bridge(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    text = made(
        virtocid, "web", "--init", "/bin/sh",
        "--filesystem", f"type=file,source={virtocid.image},target=/",
        "--network", f"bridge={linux_bridge.name}",
    )  # fmt: skip
    assert fact(text, "devices/interface/source/@bridge") == linux_bridge.name
    assert fact(text, "devices/filesystem/source/@file") == str(virtocid.image)
    assert virtocid.tell("list", "--persistent", "--name") == "web"
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")


def test_image_by_name_without_a_network(virtocid: Virtocid) -> None:
    text = made(virtocid, "web", "--init", "/bin/sh", "--filesystem", _ROOT, "--network", "none")
    assert facts(text, "devices/interface") == []
    assert virtocid.image_users() == [virtocid.tell("domuuid", "web")]


def test_more_options(virtocid: Virtocid) -> None:
    text = made(
        virtocid, "web", "--init", "/bin/sh", "--filesystem", _ROOT, "--network", "none", "--vcpus", "2",
        "--transient", "--description", "made by virt-install", "--metadata", "title=shop",
        "--xml", "./os/initarg=-i",
    )  # fmt: skip
    assert virtocid.tell("list", "--transient", "--name") == "web"
    assert facts(text, "title/text()", "description/text()", "os/initarg/text()") == [
        "shop",
        "made by virt-install",
        "-i",
    ]
    assert virtocid.tell("vcpucount", "web", "--current", "--live") == "2"


def test_the_images_own_program(virtocid: Virtocid) -> None:
    """virt-install writes /sbin/init where nothing is said; without it the image's entrypoint runs."""
    options = ("--filesystem", _ROOT, "--network", "none")
    assert "/sbin/init" in refused(virtocid, "web", *options)
    text = made(virtocid, "web", *options, "--xml", "xpath.delete=./os/init")
    assert facts(text, "os/init") == []


def test_without_an_image(virtocid: Virtocid) -> None:
    assert "name its image with" in refused(virtocid, "web", "--init", "/bin/sh", "--network", "none")


def test_default_network_without_libvirt(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    """Without --network it writes <interface type='network'> default."""
    text = refused(virtocid, "web", "--init", "/bin/sh", "--filesystem", _ROOT)
    assert "network 'default' cannot be used" in text
    assert linux_bridge.name in text


@contextmanager
def libvirt_network(libvirtd: Libvirtd, virtocid: Virtocid, bridge: LinuxBridge, *, start: bool) -> Iterator[None]:
    """The network ``default`` of a real libvirtd, on a bridge that is there."""
    given = f"<network><name>default</name><forward mode='bridge'/><bridge name='{bridge.name}'/></network>"
    with virtocid.xml_file(given) as path:
        libvirtd.virsh("net-define", str(path))
    if start:
        libvirtd.virsh("net-start", "default")
    try:
        yield
    finally:
        if start:
            libvirtd.virsh("net-destroy", "default")
        libvirtd.virsh("net-undefine", "default")


@pytest.mark.qemu
def test_default_network_of_libvirt(libvirtd: Libvirtd, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    with libvirt_network(libvirtd, virtocid, linux_bridge, start=True):
        address = linux_bridge.guest_address(4)
        text = made(
            virtocid, "web", "--init", "/bin/httpd", "--filesystem", _ROOT,
            "--xml", "./os/initarg[1]=-f", "--xml", "./os/initarg[2]=-h", "--xml", "./os/initarg[3]=/www",
            "--xml", f"./devices/interface/ip/@address={address}", "--xml", "./devices/interface/ip/@prefix=24",
        )  # fmt: skip
        assert facts(text, "devices/interface/source/@network", "devices/interface/source/@bridge") == [
            "default",
            linux_bridge.name,
        ]
        assert fetch(f"http://{address}/index.html") == b"hello from a container\n"


@pytest.mark.qemu
def test_network_that_is_not_active(libvirtd: Libvirtd, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    with libvirt_network(libvirtd, virtocid, linux_bridge, start=False):
        text = refused(virtocid, "web", "--init", "/bin/sh", "--filesystem", _ROOT)
    assert "it is not active; run virsh net-start default" in text


@pytest.mark.qemu
def test_network_that_libvirt_does_not_know(
    libvirtd: Libvirtd, virtocid: Virtocid, linux_bridge: LinuxBridge
) -> None:
    text = refused(virtocid, "web", "--init", "/bin/sh", "--filesystem", _ROOT, "--network", "network=nowhere")
    assert "nowhere" in text
    assert linux_bridge.name in text
