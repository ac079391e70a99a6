# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong is answered with one clear sentence, changes nothing, and does no harm to the daemon."""

import os
import socket

import libvirt
import pytest

from tests.support.roots import new_directory
from tests.support.virtocid import Virtocid, domain_xml
from tests.support.waiting import wait_until

_BOMB = (
    '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {name} "{"&" + other + ";" * 1}{("&" + other + ";") * 9}">'
        for name, other in zip("bcdefghij", "abcdefghi", strict=True)
    )
    + "]><domain type='oci'><name>&j;</name></domain>"
)
_FILE = "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain type='oci'><name>&x;</name></domain>"
_GOOD = domain_xml("web")


def changed(old: str, new: str) -> str:
    assert old in _GOOD
    return _GOOD.replace(old, new)


_DEFINITIONS = {
    "no XML": ("hello", "line 1"),
    "cut off": (_GOOD[:-12], "line"),
    "a bomb": (_BOMB, "DOCTYPE"),
    "an external entity": (_FILE, "DOCTYPE"),
    "a DOCTYPE alone": ("<!DOCTYPE domain>" + _GOOD, "DOCTYPE"),
    "another type": (changed("type='oci'", "type='xen'"), "/domain/@type"),
    "no name": (changed("<name>web</name>", ""), "name"),
    "a name with a slash": (changed("<name>web", "<name>../web"), "/domain/name"),
    "a broken UUID": (changed("<name>", "<uuid>1234</uuid><name>"), "/domain/uuid"),
    "negative memory": (changed("<memory unit='MiB'>64", "<memory unit='MiB'>-64"), "/domain/memory"),
    "no memory at all": (changed("<memory unit='MiB'>64</memory>", ""), "memory"),
    "memory of another world": (changed("<memory unit='MiB'>64", "<memory unit='YiB'>64"), "/domain/memory"),
    "negative CPUs": (changed("<devices>", "<vcpu>-1</vcpu><devices>"), "/domain/vcpu"),
    "a thousand billion CPUs": (changed("<devices>", "<vcpu>1000000000000</vcpu><devices>"), "/domain/vcpu"),
    "an unknown runtime": (domain_xml("web", runtime="youki"), "usable here: crun, runc"),
    "rkt": (domain_xml("web", runtime="rkt"), "archived since 2020"),
    "a missing image": (domain_xml("web", image="nothing"), "nothing"),
    "a missing file": (domain_xml("web", image="/no/such/file.raw"), "/no/such/file.raw"),
    "a relative image": (domain_xml("web", image="images/busybox.raw"), "images/busybox.raw"),
    "no image": (domain_xml("web", image=""), "name its image with"),
    "a host directory as root": (
        changed("<devices>", "<devices><filesystem type='mount'><source dir='/'/><target dir='/'/></filesystem>"),
        "a host directory as root file system",
    ),
    "a host directory nobody allowed": (
        changed("<devices>", "<devices><filesystem type='mount'><source dir='/etc'/><target dir='/x'/></filesystem>"),
        "container.allowed_directories",
    ),
    "a log in a wrong place": (
        domain_xml("web", devices="<console type='pty'><log file='/etc/passwd'/></console>"),
        "/etc/passwd",
    ),
    "a bad MAC": (
        changed(
            "<devices>", "<devices><interface type='bridge'><source bridge='b'/><mac address='1:2'/></interface>"
        ),
        "/domain/devices/interface/mac/@address",
    ),
    "a bad address": (
        changed(
            "<devices>",
            "<devices><interface type='bridge'><source bridge='b'/><ip address='10.0.0.300'/></interface>",
        ),
        "/domain/devices/interface/ip/@address",
    ),
    "an unknown signal": (domain_xml("web", settings="<covirt:stop signal='SIGNOTHING'/>"), "SIGNOTHING"),
    "an unknown capability": (
        domain_xml("web", settings="<covirt:capabilities><covirt:add name='FLY'/></covirt:capabilities>"),
        "FLY",
    ),
    "a missing seccomp profile": (domain_xml("web", settings="<covirt:seccomp profile='/no/such'/>"), "/no/such"),
    "a name too long for a file": (domain_xml("x" * 5000), "/domain/name"),
}


@pytest.mark.parametrize("what", _DEFINITIONS)
@pytest.mark.parametrize("command", ["define", "create"])
def test_definition(virtocid: Virtocid, what: str, command: str) -> None:
    text, expected = _DEFINITIONS[what]
    with virtocid.xml_file(text) as path:
        answer = virtocid.refusal(command, str(path))
    assert expected in answer
    assert "\n" not in answer
    assert "Traceback" not in answer
    assert "incident" not in answer
    assert virtocid.tell("list", "--all", "--name") == ""
    assert virtocid.image_users() == []


def test_no_incident_and_no_trace(virtocid: Virtocid) -> None:
    """After everything above, which ran against the same daemon."""
    assert "Traceback" not in virtocid.log
    assert list((virtocid.root.state_dir / "virtocid/domains").glob("*")) == []


def test_foreign_image_is_verified_and_never_believed(virtocid: Virtocid) -> None:
    """A file that no import here has made: a good one is packed anew, a changed one and garbage are refused."""
    with new_directory() as directory:
        copy, changed_copy, garbage = (directory / name for name in ("copy.raw", "changed.raw", "garbage.raw"))
        content = virtocid.image.read_bytes()
        middle = content.index(b"hello from a container")
        changed_copy.write_bytes(content[:middle] + b"J" + content[middle + 1 :])
        assert str(changed_copy) in define(virtocid, domain_xml("web", image=str(changed_copy)))
        garbage.write_bytes(os.urandom(1 << 20))
        assert str(garbage) in define(virtocid, domain_xml("web", image=str(garbage)))
        copy.write_bytes(content + bytes(4096))  # as on a volume that is larger
        virtocid.run("web", image=str(copy))
        virtocid.virsh("destroy", "web")


def define(virtocid: Virtocid, text: str) -> str:
    with virtocid.xml_file(text) as path:
        return virtocid.refusal("define", str(path))


def test_names_and_uuids_that_are_taken(virtocid: Virtocid) -> None:
    virtocid.define("web")
    uuid = virtocid.tell("domuuid", "web")
    assert f"domain 'web' already exists with uuid {uuid}" in define(virtocid, _GOOD)
    other = domain_xml("other").replace("<name>", f"<uuid>{uuid}</uuid><name>")
    assert "already exists under the name 'web'" in define(virtocid, other)
    assert virtocid.tell("list", "--all", "--name") == "web"


def test_wrong_moment(virtocid: Virtocid) -> None:
    virtocid.define("web")
    for command in ("shutdown", "destroy", "reboot", "reset", "suspend", "resume"):
        assert "not running" in virtocid.refusal(command, "web"), command
    virtocid.virsh("start", "web")
    assert "already" in virtocid.refusal("start", "web")
    assert "no domain with matching" in message(lambda: by_name(virtocid, "other"))


def by_name(virtocid: Virtocid, name: str) -> None:
    with virtocid.connect() as connection:
        connection.lookupByName(name)


def message(call: "object") -> str:
    assert callable(call)
    with pytest.raises(libvirt.libvirtError) as caught:
        call()
    return str(caught.value)


def test_flags_nobody_knows(virtocid: Virtocid) -> None:
    virtocid.run("web")
    with virtocid.connect() as connection:
        domain = connection.lookupByName("web")
        calls = (
            lambda: connection.defineXMLFlags(_GOOD, 1 << 20),
            lambda: domain.undefineFlags(1 << 20),
            lambda: domain.destroyFlags(1 << 20),
            lambda: domain.shutdownFlags(1 << 20),
            lambda: domain.XMLDesc(1 << 20),
            lambda: domain.setMetadata(0, "x", None, None, 1 << 20),
            lambda: domain.interfaceAddresses(0, 1 << 20),
            lambda: domain.openConsole(None, connection.newStream(), 1 << 20),
            lambda: domain.memoryParameters(1 << 20),
            lambda: domain.setMemoryFlags(65536, 1 << 20),
            lambda: domain.setMemoryParameters({"soft_limit": 65536}, 1 << 20),
            lambda: domain.attachDeviceFlags("<filesystem/>", 1 << 20),
            lambda: domain.blockIoTune("vda", 1 << 20),
            lambda: domain.createWithFlags(1 << 20),
        )
        for number, call in enumerate(calls):
            assert "flags" in message(call), number
    assert virtocid.state("web") == "running (booted)"


def test_ten_megabytes_of_description(virtocid: Virtocid) -> None:
    virtocid.define("web")
    with virtocid.connect() as connection:
        domain = connection.lookupByName("web")
        large = "x" * (10 << 20)
        answer = message(lambda: domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, large, None, None))
        assert len(answer) < 300
    assert virtocid.tell("desc", "web") == ""


def test_a_large_description_that_is_allowed(virtocid: Virtocid) -> None:
    virtocid.define("web")
    with virtocid.connect() as connection:
        domain = connection.lookupByName("web")
        text = "words and words\n" * 10_000
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, text, None, None)
        assert domain.metadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, None) == text
        assert text in domain.XMLDesc()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0\0\0\1",
        b"\xff\xff\xff\xff" * 100,
        b"\0\0\0\x1c" + b"\xff" * 24,
        os.urandom(65536),
    ],
    ids=["http", "too short", "too long", "a header of nonsense", "noise"],
)
@pytest.mark.parametrize("name", ["virtocid-sock", "virtocid-sock-ro"])
def test_garbage_on_the_socket(virtocid: Virtocid, garbage: bytes, name: str) -> None:
    virtocid.define("web")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(virtocid.root.libvirt_dir / name))
        try:
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert virtocid.tell("list", "--all", "--name") == "web"


def test_client_that_stops_in_the_middle_of_a_message(virtocid: Virtocid) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(virtocid.root.libvirt_dir / "virtocid-sock"))
        client.sendall(b"\0\1\0\0" + b"\x20\x00\x80\x86")
        assert virtocid.tell("hostname")
    wait_until(lambda: bool(virtocid.tell("hostname")))
