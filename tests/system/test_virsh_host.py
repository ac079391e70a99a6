# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virsh about the host and the connection: version, nodeinfo, capabilities, domcapabilities, hostname, uri, list."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covirt.common.process import run
from tests.support import xml_facts
from tests.support.virtocid import SECONDS, Virtocid
from tests.support.world import HOST_NAME


def facts(text: str) -> dict[str, str]:
    """``Name:   value`` lines."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def test_version(virtocid: Virtocid) -> None:
    assert facts(virtocid.tell("version"))["Running hypervisor"] == "OCI 0.1.0"


def test_hostname(virtocid: Virtocid) -> None:
    assert virtocid.tell("hostname") == HOST_NAME


def test_nodeinfo(virtocid: Virtocid) -> None:
    node = facts(virtocid.tell("nodeinfo"))
    assert node["CPU model"] == os.uname().machine
    assert int(node["CPU(s)"]) == os.sysconf("SC_NPROCESSORS_ONLN")
    shape = [
        int(node[name]) for name in ("CPU socket(s)", "Core(s) per socket", "Thread(s) per core", "NUMA cell(s)")
    ]
    assert shape[0] * shape[1] * shape[2] * shape[3] >= int(node["CPU(s)"])
    total_kib = int(Path("/proc/meminfo").read_text().split()[1])
    assert node["Memory size"] == f"{total_kib} KiB"


def test_capabilities(virtocid: Virtocid) -> None:
    text = virtocid.tell("capabilities")
    assert xml_facts.fact(text, "guest/os_type/text()") == "exe"
    assert xml_facts.fact(text, "guest/arch/@name") == os.uname().machine
    assert xml_facts.fact(text, "guest/arch/domain/@type") == "oci"
    for name in ("runc", "crun"):
        version, usable = xml_facts.facts(
            text, *(f"//covirt:runtime[@name='{name}']/@{key}" for key in ("version", "usable"))
        )
        assert version in run([name, "--version"], timeout_seconds=SECONDS).stdout.decode()
        assert usable == "yes"
    assert xml_facts.fact(text, "//covirt:runtime[@default='yes']/@name") == "runc"


def test_domain_capabilities(virtocid: Virtocid) -> None:
    text = virtocid.tell("domcapabilities")
    assert xml_facts.facts(text, "domain/text()", "arch/text()") == ["oci", os.uname().machine]
    assert xml_facts.facts(text, "devices/graphics/@supported", "devices/disk/@supported") == ["no", "yes"]
    assert "virtualization type 'xen' is unknown" in virtocid.refusal("domcapabilities", "--virttype", "xen")


def test_list(virtocid: Virtocid) -> None:
    assert virtocid.tell("list", "--all") == ""
    virtocid.define("idle")
    virtocid.run("busy")
    assert virtocid.tell("list", "--all", "--name").split() == ["busy", "idle"]
    assert virtocid.tell("list", "--name") == "busy"
    assert virtocid.tell("list", "--inactive", "--name") == "idle"
    number, name, state = virtocid.tell("list").split()
    assert (number, name, state) == (virtocid.tell("domid", "busy"), "busy", "running")


def test_node_numbers(virtocid: Virtocid) -> None:
    assert int(virtocid.tell("nodecpustats").split()[1]) > 0
    memory = facts(virtocid.tell("nodememstats"))
    assert 0 < int(memory["free"].split()[0]) <= int(memory["total"].split()[0])
    assert facts(virtocid.tell("freecell"))["Total"].endswith("KiB")
    assert int(virtocid.tell("nodecpumap", "--pretty").split()[2]) == os.cpu_count()


@contextmanager
def served_at_the_usual_place(virtocid: Virtocid) -> Iterator[None]:
    """The sockets where libvirt's client library looks for the scheme ``oci``: /run is private in a world."""
    directory = Path("/run/libvirt")
    present = directory.exists()
    directory.mkdir(exist_ok=True)
    links = [directory / name for name in ("virtocid-sock", "virtocid-sock-ro")]
    for link in links:
        link.symlink_to(virtocid.root.libvirt_dir / link.name)
    try:
        yield
    finally:
        for link in links:
            link.unlink()
        if not present:
            directory.rmdir()


def test_the_plain_uri(virtocid: Virtocid) -> None:
    virtocid.run("web")
    with served_at_the_usual_place(virtocid):
        for uri in ("oci:///system", "oci:///", "oci+unix:///system"):
            command = ["virsh", "-q", "-c", uri]
            assert run([*command, "uri"], timeout_seconds=SECONDS).stdout.decode().strip() == uri
            assert run([*command, "domstate", "web"], timeout_seconds=SECONDS).stdout.decode().strip() == "running"
        readonly = ["virsh", "-q", "-r", "-c", "oci:///system"]
        assert run([*readonly, "list", "--name"], timeout_seconds=SECONDS).stdout.decode().strip() == "web"
        refused = run([*readonly, "destroy", "web"], timeout_seconds=SECONDS, check=False)
        assert refused.status != 0


def test_another_connection_name_is_refused(virtocid: Virtocid) -> None:
    socket = virtocid.root.libvirt_dir / "virtocid-sock"
    refused = run(
        ["virsh", "-c", f"qemu+unix:///system?socket={socket}", "list"], timeout_seconds=SECONDS, check=False
    )
    assert refused.status != 0
    assert "qemu:///system" in refused.stderr.decode()
