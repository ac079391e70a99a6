# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine says of a container in custom properties is what virtocid reads in the XML."""

import pytest

from covirt.host.virt.container_errors import BadContainerProperty, NoContainerImage
from covirt.host.virt.container_xml import apply_properties
from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.ovirt_metadata import read_vm_facts
from covirt.virtocid.driver.domain_xml import parse_domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig

DISK = "<disk type='file' device='disk'><driver type='raw'/><source file='/{name}.raw'/><target dev='{name}'/></disk>"
DISKS = DISK.format(name="vda") + DISK.format(name="vdb")


def engine_xml(devices: str = "", *, more: str = "", **custom: str) -> str:
    properties = "".join(f"<ovirt-vm:{name}>{text}</ovirt-vm:{name}>" for name, text in custom.items())
    return f"""<?xml version='1.0' encoding='UTF-8'?>
<domain xmlns:ovirt-vm="http://ovirt.org/vm/1.0" type="kvm"><name>web</name>
<uuid>c1bbe382-172a-4f54-9c6c-ea48644c0c34</uuid><memory>65536</memory>
<os><type arch="x86_64" machine="pc-q35-rhel8.6.0">hvm</type></os>
<metadata><ovirt-vm:vm><ovirt-vm:custom>{properties}</ovirt-vm:custom></ovirt-vm:vm>{more}</metadata>
<devices><emulator>/usr/libexec/qemu-kvm</emulator><memballoon model="virtio"/>{devices}</devices></domain>"""


def prepared(devices: str = "", *, more: str = "", **custom: str) -> str:
    root = read_xml(engine_xml(devices, more=more, **custom))
    apply_properties(root, read_vm_facts(root).custom)
    return write_xml(root)


def read(devices: str = "", *, more: str = "", **custom: str) -> DomainConfig:
    """As virtocid reads it."""
    custom.setdefault("containerType", "docker")
    custom.setdefault("containerImage", "docker://redis")
    return parse_domain(prepared(devices, more=more, **custom))


def refusal(devices: str = "", **custom: str) -> str:
    with pytest.raises(BadContainerProperty) as caught:
        read(devices, **custom)
    return str(caught.value)


def test_the_two_properties_of_old() -> None:
    config = read()
    assert config.ovirt is not None
    assert (config.ovirt.image, config.ovirt.runtime) == ("redis", None)
    assert config.process.arguments == ()


def test_no_qemu_takes_it() -> None:
    root = read_xml(prepared(containerType="docker", containerImage="redis"))
    assert (root.get("type"), root.findtext("os/type")) == ("oci", "exe")


def test_a_runtime_by_name() -> None:
    config = read(containerType="crun")
    assert config.ovirt is not None
    assert config.ovirt.runtime == "crun"


@pytest.mark.parametrize("pairs", ["data:vda,logs:vdb", "vda:data , vdb:logs", "data:vda,vdb:logs"])
def test_both_orders_of_the_volume_map(pairs: str) -> None:
    config = read(DISKS, volumeMap=pairs)
    assert [(drive.tag, drive.text) for drive in config.drive_map] == [("data", "vda"), ("logs", "vdb")]


def test_a_volume_at_a_path() -> None:
    config = read(DISKS, volumeMap="/srv/files:vda,vdb:/var/log")
    mounts = {mapping.disk: mapping.mount.target for mapping in config.settings.volumes}
    assert mounts == {"vda": "/srv/files", "vdb": "/var/log"}


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ("data", "not a pair"),
        ("data:vdz", "neither 'data' nor 'vdz' is a disk"),
        ("data:vda,logs:vda", "vda is mapped twice"),
        ("a b:vda", "neither a label"),
        ("../x:vda", "neither a label"),
    ],
)
def test_volume_maps_that_are_refused(volumes: str, words: str) -> None:
    text = refusal(DISKS, volumeMap=volumes)
    assert "volumeMap" in text
    assert words in text


def test_command_and_environment() -> None:
    config = read(containerCommand="nginx -g 'daemon off;'", containerEnvironment="TZ=UTC GREETING='a b=c'")
    assert config.process.arguments == ("nginx", "-g", "daemon off;")
    assert config.process.environment == (("TZ", "UTC"), ("GREETING", "a b=c"))


def test_command_and_environment_as_json() -> None:
    config = read(containerCommand='["sh", "-c", "echo a"]', containerEnvironment='{"A": "1"}')
    assert config.process.arguments == ("sh", "-c", "echo a")
    assert config.process.environment == (("A", "1"),)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("containerCommand", "sh -c 'x"),
        ("containerCommand", "[1]"),
        ("containerCommand", '["a\\u0000b"]'),
        ("containerEnvironment", '{"NAME": "a\\u0000b"}'),
        ("containerEnvironment", '{"NAME": "\\ud800"}'),
        ("containerCommand", "[" * 100_000),
        ("containerEnvironment", "A"),
        ("containerEnvironment", "1A=b"),
        ("containerEnvironment", '{"A": 1}'),
        ("containerRestart", "sometimes"),
        ("containerRoot", "vdz"),
        ("containerDiscard", "tmp"),
        ("containerType", "run c"),
        ("containerType", ""),
        ("containerType", " "),
        ("containerImage", "a b"),
    ],
)
def test_properties_that_are_refused(name: str, text: str) -> None:
    assert name in refusal(**{name: text})


def test_a_value_of_the_environment_is_not_repeated() -> None:
    assert "hunter2" not in refusal(containerEnvironment="PASSWORD-=hunter2")
    assert "hunter2" not in refusal(containerEnvironment="hunter2")


def test_restart_and_root() -> None:
    config = read(DISKS, containerRestart="on-failure", containerRoot="vdb", volumeMap="data:vda")
    assert config.settings.restart is not None
    assert config.settings.restart.policy == "on-failure"
    assert config.settings.root_disk == "vdb"


def test_a_root_is_stateless_by_itself() -> None:
    assert read().settings.root_layer == "discarded"


def test_what_the_image_declares_can_be_discarded() -> None:
    assert [volume.target for volume in read(containerDiscard="/tmp,/run").settings.discarded_volumes] == [
        "/tmp",
        "/run",
    ]


def test_the_xml_counts_more() -> None:
    more = (
        "<covirt:container xmlns:covirt='https://covirt.org/xmlns/container/1.0'><covirt:root layer='kept'/>"
        "<covirt:restart policy='always'/></covirt:container>"
    )
    config = read(more=more, containerRestart="never", containerRoot="stateless")
    assert config.settings.restart is not None
    assert config.settings.restart.policy == "always"
    assert config.settings.root_layer == "kept"


def test_twice_is_as_once() -> None:
    root = read_xml(engine_xml(DISKS, containerImage="web", volumeMap="/a:vda,b:vdb", containerDiscard="/tmp"))
    apply_properties(root, read_vm_facts(root).custom)
    once = write_xml(root)
    apply_properties(root, read_vm_facts(root).custom)
    assert write_xml(root) == once


def test_without_an_image() -> None:
    with pytest.raises(NoContainerImage):
        prepared(containerType="docker")


def test_the_image_in_a_drive() -> None:
    drive = "<disk type='file' device='cdrom'><source file='/srv/web.raw'/><target dev='sda'/><readonly/></disk>"
    assert parse_domain(prepared(drive, containerType="docker")).image == "/srv/web.raw"


def test_the_console_is_a_terminal() -> None:
    console = (
        "<console type='unix'><source path='/run/ovirt-vmconsole-console/a.sock' mode='bind'/>"
        "<target type='serial' port='0'/></console>"
    )
    assert read(console).consoles
