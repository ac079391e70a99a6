# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is impossible is refused with one sentence that names line and XPath."""

import pytest

from covirt.common.errors import InvalidRequest
from covirt.virtocid.driver.domain_xml import InvalidXml, format_domain, parse_device, parse_domain

NAMESPACE = "https://covirt.org/xmlns/container/1.0"


def domain(
    *,
    name: str = "<name>web</name>",
    memory: str = "<memory unit='MiB'>64</memory>",
    top: str = "",
    os: str = "",
    devices: str = "",
    settings: str = "<c:image>web</c:image>",
) -> str:
    """A valid domain with parts exchanged; one part a line, so that line numbers can be told."""
    return "\n".join(
        (
            "<domain type='oci'>",
            name,
            memory,
            f"<metadata><c:container xmlns:c='{NAMESPACE}'>{settings}</c:container></metadata>",
            f"<os><type>exe</type>{os}</os>",
            top,
            f"<devices>{devices}</devices>",
            "</domain>",
        )
    )


def interface(content: str, *, source: str = "<source bridge='br0'/>") -> str:
    return f"<interface type='bridge'>{source}{content}</interface>"


def refusal(xml: str) -> InvalidXml:
    with pytest.raises(InvalidXml) as caught:
        parse_domain(xml)
    return caught.value


def test_the_domain_these_tests_spoil_is_fine() -> None:
    assert parse_domain(domain()).unknown == ()


TOP = [
    (domain(name=""), "/domain", 1, "<name> is missing"),
    (domain(name="<name>a</name><name>b</name>"), "/domain/name[2]", 2, "more than one <name>"),
    (domain(name="<name>a/b</name>"), "/domain/name", 2, "not a usable name"),
    (domain(name="<name>..</name>"), "/domain/name", 2, "not a usable name"),
    (domain(name="<name> a</name>"), "/domain/name", 2, "no space at its ends"),
    (domain(name="<name>a<b/></name>"), "/domain/name", 2, "no elements"),
    (domain(name=f"<name>{'a' * 200}</name>"), "/domain/name", 2, "199 bytes"),
    (domain(top="<uuid>1234</uuid>"), "/domain/uuid", 6, "not a UUID"),
    (domain(top="<uuid>00000000-0000-0000-0000-000000000000</uuid>"), "/domain/uuid", 6, "sixteen times"),
    (domain(top="<title>a\nb</title>"), "/domain/title", 6, "line break"),
    (domain(memory=""), "/domain", 1, "<memory> is missing"),
    (domain(memory="<memory>6143</memory>"), "/domain/memory", 3, "at least 6144 KiB"),
    (domain(memory="<memory unit='MiB'>-64</memory>"), "/domain/memory", 3, "not a size"),
    (domain(memory="<memory unit='furlong'>64</memory>"), "/domain/memory", 3, "not a size"),
    (domain(memory="<memory unit='EiB'>99</memory>"), "/domain/memory", 3, "too large"),
    (domain(top="<currentMemory>100</currentMemory>"), "/domain/currentMemory", 6, "at least 6144 KiB"),
    (domain(top="<vcpu>0</vcpu>"), "/domain/vcpu", 6, "out of range"),
    (domain(top="<vcpu current='3'>2</vcpu>"), "/domain/vcpu/@current", 6, "more than the maximum, 2"),
    (domain(top="<vcpu cpuset='3-1'>2</vcpu>"), "/domain/vcpu/@cpuset", 6, "backwards"),
    (domain(top="<vcpu cpuset='0,^0'>2</vcpu>"), "/domain/vcpu/@cpuset", 6, "leaves no CPU"),
    (domain(top="<vcpu cpuset='0-99999'>2</vcpu>"), "/domain/vcpu/@cpuset", 6, "beyond 8191"),
    (domain(top=f"<vcpu cpuset='{'0-8191,' * 3000}0'>2</vcpu>"), "/domain/vcpu/@cpuset", 6, "16384 characters"),
    (domain(top="<cputune><shares>1</shares></cputune>"), "/domain/cputune/shares", 6, "out of range"),
    (domain(top="<cputune><quota>5</quota></cputune>"), "/domain/cputune/quota", 6, "too small"),
    (
        domain(top="<cputune><vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='0' cpuset='1'/></cputune>"),
        "/domain/cputune/vcpupin[2]",
        6,
        "pinned twice",
    ),
    (domain(top="<memtune><hard_limit>x</hard_limit></memtune>"), "/domain/memtune/hard_limit", 6, "not a size"),
    (domain(top="<blkiotune><weight>5</weight></blkiotune>"), "/domain/blkiotune/weight", 6, "out of range"),
    (domain(top="<blkiotune><device/></blkiotune>"), "/domain/blkiotune/device", 6, "<path> is missing"),
    (domain(top="<on_crash>explode</on_crash>"), "/domain/on_crash", 6, "not one of destroy"),
]
IDMAP = [
    ("<uid start='0' target='100000' count='10'/>", "/domain/idmap", "both be mapped"),
    (
        "<uid start='1' target='1' count='1'/><gid start='0' target='1' count='1'/>",
        "/domain/idmap",
        "no <uid> range starts at 0",
    ),
    (
        "<uid start='0' target='9' count='9'/><uid start='8' target='99' count='9'/>",
        "/domain/idmap",
        "overlap at start 8",
    ),
    ("<uid start='0' target='4294967000' count='65536'/>", "/domain/idmap/uid", "past the last id"),
    ("<uid start='0' target='5' count='0'/>", "/domain/idmap/uid/@count", "out of range"),
    ("<uid start='0' target='5'/>", "/domain/idmap/uid", "count is missing"),
    ("<uid start='0' target='5' count='1' size='1'/>", "/domain/idmap/uid", "size means nothing here"),
]
OS = [
    ("<initenv name='A=B'>x</initenv>", "/domain/os/initenv/@name", "environment variable"),
    ("<initenv name=''>x</initenv>", "/domain/os/initenv/@name", "environment variable"),
    ("<initenv>x</initenv>", "/domain/os/initenv", "name is missing"),
    ("<initenv name='A'>1</initenv><initenv name='A'>2</initenv>", "/domain/os/initenv[2]", "set twice"),
    ("<initdir>tmp</initdir>", "/domain/os/initdir", "not an absolute path"),
    ("<initdir>/a/../b</initdir>", "/domain/os/initdir", "'..' segment"),
    ("<inituser>a:b</inituser>", "/domain/os/inituser", "plain name"),
    ("<init> </init>", "/domain/os/init", "empty"),
    ("<initarg><x/></initarg>", "/domain/os/initarg", "no elements"),
    ("<type>hvm</type>", "/domain/os/type[2]", "more than one"),
]
DEVICES = [
    ("<interface type='direct'/>", "/interface/@type", "not one of bridge, network"),
    ("<interface type='bridge'/>", "/interface", "<source bridge=…> is missing"),
    (interface("", source="<source network='default'/>"), "/interface/source", "bridge is missing"),
    (interface("", source="<source bridge='a/b'/>"), "/interface/source/@bridge", "no interface name"),
    (interface("<mac address='53:54:00:00:00:01'/>"), "/interface/mac/@address", "multicast"),
    (interface("<mac address='00:00:00:00:00:00'/>"), "/interface/mac/@address", "nobody"),
    (interface("<mac address='52:54:00'/>"), "/interface/mac/@address", "not a MAC address"),
    (interface("<target dev='abcdefghijklmnop'/>"), "/interface/target/@dev", "no interface name"),
    (interface("<target dev='a/b'/>"), "/interface/target/@dev", "no interface name"),
    (interface("<guest dev='a b'/>"), "/interface/guest/@dev", "no interface name"),
    (interface("<ip address='10.0.0.1' prefix='33'/>"), "/interface/ip/@prefix", "longer than an ipv4"),
    (interface("<ip address='10.0.0.1' prefix='-1'/>"), "/interface/ip/@prefix", "out of range"),
    (interface("<ip address='10.0.0.300'/>"), "/interface/ip/@address", "not an IP address"),
    (interface("<ip address='::1' family='ipv4'/>"), "/interface/ip/@family", "not an ipv4 address"),
    (interface("<ip address='0.0.0.0'/>"), "/interface/ip/@address", "cannot be the address"),
    (interface("<ip address='10.0.0.1' peer='::1'/>"), "/interface/ip/@peer", "not an ipv4 address"),
    (interface("<route address='0.0.0.0'/>"), "/interface/route", "gateway is missing"),
    (interface("<route address='::' gateway='10.0.0.1'/>"), "/interface/route/@gateway", "not an ipv6 address"),
    (
        interface("<route address='10.0.0.0' prefix='8' netmask='255.0.0.0' gateway='10.0.0.1'/>"),
        "/interface/route",
        "twice",
    ),
    (interface("<mtu size='20'/>"), "/interface/mtu/@size", "out of range"),
    (interface("<link state='sideways'/>"), "/interface/link/@state", "not one of up, down"),
    (interface("<target dev='v0'/>") * 2, "/interface[2]", "target name v0 is used twice"),
    (interface("<mac address='52:54:00:00:00:01'/>") * 2, "/interface[2]", "MAC address"),
    ("<disk type='file' device='disk'><target dev='vda'/></disk>", "/disk", "<source file=…> is missing"),
    ("<disk type='file' device='cdrom'><source file='/a'/></disk>", "/disk", "<target dev=…> is missing"),
    ("<disk type='network'/>", "/disk/@type", "not one of file, block"),
    ("<disk device='floppy'/>", "/disk/@device", "not one of disk, cdrom"),
    (
        "<disk><source file='a.raw'/><target dev='vda'/></disk>",
        "/disk/source/@file",
        "not an absolute path",
    ),
    (
        "<disk><source file='/a/../b'/><target dev='vda'/></disk>",
        "/disk/source/@file",
        "'..' segment",
    ),
    (
        "<disk><driver type='qcow2'/><source file='/a'/><target dev='vda'/></disk>",
        "/disk/driver/@type",
        "no format but raw",
    ),
    ("<disk><source file='/a'/><target dev='vda'/></disk>" * 2, "/disk[2]", "target name vda is used twice"),
    (
        "".join(f"<disk device='cdrom'><source file='/a'/><target dev='hd{letter}'/></disk>" for letter in "ab"),
        "/disk[2]",
        "one image",
    ),
    ("<disk device='cdrom'><source file='/a'/><target dev='hda'/></disk>", "/disk", "the image is web in"),
    ("<filesystem type='volume'/>", "/filesystem/@type", "not one of mount"),
    (
        "<filesystem type='template'><source name='web'/><target dir='/x'/></filesystem>",
        "/filesystem",
        "can only be the root file system",
    ),
    ("<filesystem type='file'><source file='/x'/><target dir='/'/></filesystem>", "", "two images are named"),
    ("<filesystem><source dir='/a'/></filesystem>", "/filesystem", "<target dir=…> is missing"),
    ("<filesystem><target dir='/a'/></filesystem>", "/filesystem", "<source> is missing"),
    (
        "<filesystem type='ram'><source usage='x'/><target dir='/a'/></filesystem>",
        "/filesystem/source/@usage",
        "not a size",
    ),
    (
        "<filesystem><source dir='/a'/><target dir='/b'/></filesystem>" * 2,
        "/filesystem[2]",
        "target directory /b is used twice",
    ),
    ("<console type='file'/>", "/console/@type", "not one of pty"),
    ("<console><log file='x.log'/></console>", "/console/log/@file", "not an absolute path"),
]
SETTINGS = [
    ("<c:imagee>web</c:imagee>", "/c:imagee", "<imagee> means nothing here"),
    ("<c:image>images/web</c:image>", "/c:image", "neither an absolute path nor the name"),
    ("<c:image>docker://docker.io/web:1</c:image>", "/c:image", "virtocid-image import docker://"),
    ("<c:image>web:1</c:image>", "/c:image", "virtocid-image import docker://"),
    ("<c:image>-rf</c:image>", "/c:image", "neither an absolute path nor the name"),
    ("<c:stop signal='SIGFOO'/>", "/c:stop/@signal", "not a signal"),
    ("<c:stop signal='0'/>", "/c:stop/@signal", "not a signal"),
    ("<c:stop signal='SIGRTMIN+40'/>", "/c:stop/@signal", "real-time signal"),
    ("<c:stop timeout='-1'/>", "/c:stop/@timeout", "out of range"),
    ("<c:processes limit='0'/>", "/c:processes/@limit", "out of range"),
    ("<c:init reaper='maybe'/>", "/c:init/@reaper", "not one of yes, no"),
    ("<c:capabilities><c:add name='FLY'/></c:capabilities>", "/c:capabilities/c:add/@name", "not a capability"),
    (
        "<c:capabilities><c:add name='CHOWN'/><c:drop name='cap_chown'/></c:capabilities>",
        "/c:capabilities",
        "both added and dropped",
    ),
    ("<c:seccomp profile='off'/>", "/c:seccomp/@profile", "not an absolute path"),
    ("<c:root layer='gone'/>", "/c:root/@layer", "not one of kept, discarded"),
    ("<c:rlimit name='nofile' soft='9' hard='5'/>", "/c:rlimit", "above the hard limit"),
    ("<c:rlimit name='files' soft='1' hard='5'/>", "/c:rlimit/@name", "not a resource limit"),
    ("<c:sysctl name='kernel.core_pattern' value='|x'/>", "/c:sysctl/@name", "not a sysctl of a container's own"),
    ("<c:shm>0</c:shm>", "/c:shm", "no limit at all"),
    ("<c:dns><c:nameserver address='x'/></c:dns>", "/c:dns/c:nameserver/@address", "not an IP address"),
    ("<c:hostname>a_b</c:hostname>", "/c:hostname", "not a host name"),
]


@pytest.mark.parametrize(("xml", "xpath", "line", "reason"), TOP)
def test_top_level(xml: str, xpath: str, line: int, reason: str) -> None:
    error = refusal(xml)
    assert (error.xpath, error.line) == (xpath, line)
    assert reason in str(error)


@pytest.mark.parametrize(("content", "xpath", "reason"), IDMAP)
def test_idmap(content: str, xpath: str, reason: str) -> None:
    error = refusal(domain(top=f"<idmap>{content}</idmap>"))
    assert (error.xpath, error.line) == (xpath, 6)
    assert reason in str(error)


@pytest.mark.parametrize(("content", "xpath", "reason"), OS)
def test_os(content: str, xpath: str, reason: str) -> None:
    error = refusal(domain(os=content))
    assert (error.xpath, error.line) == (xpath, 5)
    assert reason in str(error)


@pytest.mark.parametrize(("content", "xpath", "reason"), DEVICES)
def test_devices(content: str, xpath: str, reason: str) -> None:
    error = refusal(domain(devices=content))
    assert (error.xpath, error.line) == (f"/domain/devices{xpath}", 7)
    assert reason in str(error)


@pytest.mark.parametrize(("content", "xpath", "reason"), SETTINGS)
def test_settings(content: str, xpath: str, reason: str) -> None:
    error = refusal(domain(settings=content))
    assert (error.xpath, error.line) == (f"/domain/metadata/c:container{xpath}", 4)
    assert reason in str(error)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<pool/>", "must be <domain>"),
        ("<domain><name>x</name></domain>", "type is missing"),
        ("<domain type='xen'/>", "not one of oci"),
        (domain(settings="", devices="<console type='pty'/>"), "no root file system"),
        (domain(top="<metadata><a/></metadata>"), "more than one <metadata>"),
    ],
)
def test_whole_documents(xml: str, reason: str) -> None:
    assert reason in str(refusal(xml))


def test_settings_of_another_release_are_not_overlooked() -> None:
    xml = domain().replace(NAMESPACE, "https://covirt.org/xmlns/container/2.0")
    assert f"this virtocid knows {NAMESPACE}" in str(refusal(xml))


def test_metadata_needs_namespaces() -> None:
    xml = domain().replace("<metadata>", "<metadata><note/>")
    assert "needs a namespace" in str(refusal(xml))


def test_metadata_has_one_element_per_namespace() -> None:
    xml = domain().replace("<metadata>", "<metadata><n:a xmlns:n='urn:n'/><n:b xmlns:n='urn:n'/>")
    assert "two elements of the namespace urn:n" in str(refusal(xml))


def test_a_domain_without_image_is_accepted_where_it_may_come_later() -> None:
    with_console = domain(settings="", devices="<console type='pty'/>")
    assert parse_domain(with_console, image_required=False).image is None
    assert parse_domain(domain(settings="")).is_placeholder


@pytest.mark.parametrize("kind", ["qemu", "kvm"])
def test_a_machine_is_a_container_here_if_it_names_an_image(kind: str) -> None:
    def machine(**parts: str) -> str:
        text = domain(**parts).replace("type='oci'", f"type='{kind}'")
        return text.replace("<type>exe</type>", "<type machine='q35'>hvm</type><boot dev='hd'/>")

    assert parse_domain(machine()).image == "web"
    assert "<domain type='oci'>" in format_domain(parse_domain(machine()), secure=True)
    assert parse_domain(machine(settings="")).is_placeholder
    refused = refusal(machine(settings="", devices="<emulator>/usr/bin/qemu-system-x86_64</emulator>"))
    assert "no root file system" in str(refused)


def test_a_device_by_itself() -> None:
    assert parse_device(interface("<mtu size='1400'/>")).__class__.__name__ == "Interface"
    with pytest.raises(InvalidRequest, match="a container has the devices"):
        parse_device("<hostdev/>")
