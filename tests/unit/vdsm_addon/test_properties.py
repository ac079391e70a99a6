# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Custom properties, and the definition they end up in."""

import contextlib
import json
import re
import xml.etree.ElementTree as ET
from typing import Final

import pytest
from covirt_vdsm import dialect, domain_xml
from covirt_vdsm.properties import BadProperty, Properties, read
from hypothesis import given
from hypothesis import strategies as st

from covirt.common import dialect as covirt_dialect
from tests.support.vdsm import final_xml
from tests.support.vdsm_addon import ADDON

DRIVES: Final = frozenset({"vda", "vdb"})
DISK: Final = "0b1c5c64-5a0e-4b4a-9d0e-1f9b4a1f8d11"
NAMES: Final = {
    "cnt": dialect.CONTAINER_NAMESPACE,
    "dm": dialect.DRIVE_MAP_NAMESPACE,
    "cov": dialect.COVIRT_NAMESPACE,
}


def properties(**custom: str) -> Properties:
    found = read({"containerType": "docker", **custom}, DRIVES)
    assert found is not None
    return found


def container(disks: str = "", **custom: str) -> ET.Element:
    machine = "<name>web</name><os><type machine='q35'>hvm</type></os>"
    root = dialect.read(f"<domain type='kvm'>{machine}<devices>{disks}</devices></domain>")
    domain_xml.make_container(root, read({"containerType": "docker", **custom}, domain_xml.drives(root)))
    return root


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_type_starts_no_machine(text: str) -> None:
    with pytest.raises(BadProperty, match="containerType: it is empty"):
        read({"containerType": text}, DRIVES)
    custom = f"<vm xmlns='{dialect.VM_NAMESPACE}'><custom><containerType>{text}</containerType></custom></vm>"
    assert dialect.is_container(dialect.read(f"<domain type='kvm'><metadata>{custom}</metadata></domain>"))


def test_without_a_type_nothing_is_a_container() -> None:
    assert read({"containerImage": "web"}, DRIVES) is None


@pytest.mark.parametrize("text", ["data:vda, logs:vdb", "vda:data,vdb:logs", "vda:data,logs:vdb"])
def test_both_orders_of_the_volumes(text: str) -> None:
    assert properties(volumeMap=text).volumes == (("vda", "data"), ("vdb", "logs"))


def test_volumes_may_be_paths_and_drives_may_come_later() -> None:
    assert properties(volumeMap="vdc:/srv/data").volumes == (("vdc", "/srv/data"),)
    assert properties(volumeMap="data:vdc").volumes == (("vdc", "data"),)


def test_the_environment_is_words_or_an_object() -> None:
    assert properties(containerEnvironment="TZ=UTC 'A=b c'").environment == (("TZ", "UTC"), ("A", "b c"))
    assert properties(containerEnvironment='{"A": "b\\u003bc"}').environment == (("A", "b;c"),)


def test_the_root_is_on_a_drive_or_ends_with_the_run() -> None:
    disk = "<disk device='disk'><target dev='vda'/></disk>"
    for custom, expected in (
        ({"volumeMap": "data:vda"}, {"layer": "discarded"}),
        ({"containerRoot": "vda"}, {"layer": "kept", "disk": "vda"}),
    ):
        root = container(disk, containerImage="web", **custom).find("metadata/cov:container/cov:root", NAMES)
        assert root is not None
        assert root.attrib == expected


def test_commands_are_words_or_a_list() -> None:
    assert properties(containerCommand="sh -c 'sleep 5'").command == ("sh", "-c", "sleep 5")
    assert properties(containerCommand='["sh", "-c", "a\\u003bb"]').command == ("sh", "-c", "a;b")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("containerType", "a b", "not the name of a runtime"),
        ("containerImage", "/etc/shadow", "neither the name of an image"),
        ("containerImage", "../x", "neither the name of an image"),
        ("volumeMap", "data", "not a pair"),
        ("volumeMap", "a:b", "no drive"),
        ("volumeMap", "vda:a,b:vda", "mapped twice"),
        ("volumeMap", "vda:/a/../b", "neither a label"),
        ("containerCommand", "'open", "No closing quotation"),
        ("containerCommand", "[1]", "not a list of texts"),
        ("containerCommand", "[", "not JSON"),
        ("containerEnvironment", "{A=b", "not JSON"),
        ("containerEnvironment", "A", "not NAME=VALUE"),
        ("containerEnvironment", "'A", "No closing quotation"),
        ("containerRoot", "vdc", "neither stateless nor a drive"),
        ("containerEnvironment", '{"A": 1}', "not an object of texts"),
        ("containerEnvironment", '{"A b": "1"}', "not the name of a variable"),
        ("containerRestart", "often", "none of never"),
        ("containerDiscard", "cache", "not a path"),
        ("containerCommand", r'["a\u0000"]', r"has the character '\\x00'"),
        ("containerCommand", "a\x01b", r"has the character '\\x01'"),
        ("containerEnvironment", r'{"A": "\ud800"}', r"has the character '\\ud800'"),
        ("containerEnvironment", "A=\udcff", r"has the character '\\udcff'"),
        ("volumeMap", "vda:/a\x1b", r"has the character '\\x1b'"),
        ("containerDiscard", "/a\r/b", r"has the character '\\r'"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, text: str, message: str) -> None:
    with pytest.raises(BadProperty, match=message) as caught:
        properties(**{name: text})
    assert str(caught.value).startswith(name)


def test_a_value_of_the_environment_is_not_told() -> None:
    """The engine shows the reason to everybody who sees the machine."""
    with pytest.raises(BadProperty, match="word 2 is not NAME=VALUE") as caught:
        properties(containerEnvironment="PASSWORD=very secret")
    assert "secret" not in str(caught.value)


@given(st.dictionaries(st.sampled_from(sorted(("volumeMap", "containerCommand", "containerEnvironment"))), st.text()))
def test_nothing_else_is_ever_raised(custom: dict[str, str]) -> None:
    with contextlib.suppress(BadProperty):
        properties(**custom)


@given(st.lists(st.text()), st.dictionaries(st.from_regex("[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), st.text()))
def test_every_text_is_refused_or_arrives_as_it_is(words: list[str], variables: dict[str, str]) -> None:
    try:
        root = container(
            containerImage="web", containerCommand=json.dumps(words), containerEnvironment=json.dumps(variables)
        )
    except BadProperty as error:
        assert "has the character" in str(error)  # noqa: PT017
        return
    read_again = dialect.read(ET.tostring(root, encoding="unicode"))
    assert [word.text or "" for word in read_again.iterfind("os/initarg")] == words
    assert {str(each.get("name")): each.text or "" for each in read_again.iterfind("os/initenv")} == variables


def test_everything_is_written_where_virtocid_reads_it() -> None:
    root = container(
        "<disk device='disk'><target dev='vda'/></disk><disk device='disk'><target dev='vdb'/></disk>"
        "<console type='unix'><source mode='bind' path='/run/x'/><target type='serial'/></console>",
        containerImage="docker://web",
        volumeMap="data:vda,vdb:/srv/logs",
        containerCommand="serve --all",
        containerEnvironment='{"TZ": "UTC"}',
        containerRestart="on-failure",
        containerDiscard="/tmp/cache",
    )
    assert (root.get("type"), root.findtext("os/type")) == ("oci", "exe")
    assert [word.text for word in root.iterfind("os/initarg")] == ["serve", "--all"]
    assert [(each.get("name"), each.text) for each in root.iterfind("os/initenv")] == [("TZ", "UTC")]
    assert root.findtext("metadata/cnt:container/cnt:image", namespaces=NAMES) == "web"
    assert root.findtext("metadata/cnt:container/cnt:runtime", namespaces=NAMES) == "docker"
    assert root.findtext("metadata/dm:drivemap/dm:data", namespaces=NAMES) == "vda"
    volumes = [each.attrib for each in root.iterfind("metadata/cov:container/cov:volume", NAMES)]
    assert volumes == [{"disk": "vdb", "target": "/srv/logs"}, {"discard": "/tmp/cache"}]
    restart = root.find("metadata/cov:container/cov:restart", NAMES)
    assert restart is not None
    assert restart.get("policy") == "on-failure"
    console = root.find("devices/console")
    assert console is not None
    assert (console.get("type"), len(console)) == ("pty", 0)


@pytest.mark.parametrize("image", ["vdb", DISK, DISK.upper()])
def test_an_image_in_a_disk_is_found_and_made_the_image(image: str) -> None:
    root = container(
        "<disk device='disk'><driver type='raw'/><source file='/rhev/image'/><target dev='vdb'/>"
        f"<serial>{DISK}</serial></disk>",
        containerImage=image,
    )
    disk = root.find("devices/disk")
    assert disk is not None
    assert disk.get("device") == "cdrom"
    assert disk.find("readonly") is not None
    assert root.findtext("metadata/cnt:container/cnt:image", namespaces=NAMES) == "/rhev/image"


@pytest.mark.parametrize(
    ("disks", "image", "message"),
    [
        ("", DISK, "has no disk"),
        ("", "", "is missing"),
        ("<disk><target dev='vda'/></disk>", "vda", "no file"),
        ("<disk><driver type='qcow2'/><source file='/x'/><target dev='vda'/></disk>", "vda", "not raw"),
    ],
)
def test_an_image_that_is_not_there_is_named(disks: str, image: str, message: str) -> None:
    with pytest.raises(BadProperty, match=message):
        container(disks, containerImage=image)


@pytest.mark.parametrize(
    "custom",
    [{"volumeMap": "data:vda"}, {"volumeMap": "vda:/srv"}, {"containerRoot": "vda"}, {"containerImage": "vda"}],
)
def test_every_disk_needs_a_place(custom: dict[str, str]) -> None:
    disks = [f"<disk><source file='/x'/><target dev='{dev}'/></disk>" for dev in ("vda", "vdb")]
    container(disks[0], **{"containerImage": "web", **custom})
    with pytest.raises(BadProperty, match="volumeMap: it does not say where the disk vdb"):
        container("".join(disks), **{"containerImage": "web", **custom})


def test_a_place_in_the_definition_counts() -> None:
    place = f"<volume xmlns='{dialect.COVIRT_NAMESPACE}' target='/srv'/>"
    container(f"<disk><source file='/x'/><target dev='vda'/>{place}</disk>", containerImage="web")


def test_an_image_may_be_called_like_a_drive_that_is_not_there() -> None:
    root = container("<disk device='disk'><target dev='vda'/></disk>", containerImage="sdk", volumeMap="data:vda")
    assert root.findtext("metadata/cnt:container/cnt:image", namespaces=NAMES) == "sdk"


def test_an_attached_cd_is_an_image() -> None:
    root = container("<disk device='cdrom'><source file='/rhev/iso'/><target dev='sdc'/></disk>")
    assert root.find("metadata/cnt:container/cnt:image", NAMES) is None


def test_what_the_definition_says_itself_counts_more() -> None:
    root = dialect.read(final_xml("web", DISK, bridge="br0"))
    domain_xml.make_container(root, properties(containerImage="other", containerCommand="other"))
    assert root.findtext("metadata/cnt:container/cnt:image", namespaces=NAMES) == "docker://busybox"
    assert root.findtext("os/init") == "/bin/sh"
    assert root.find("devices/graphics") is None


def test_every_disk_has_an_address_of_its_own() -> None:
    """Vdsm takes the first address of each disk, and falls over one without."""
    kept = "<disk><target dev='sda'/><address type='drive' unit='7'/></disk>"
    lacking = "".join(f"<disk><target dev='{dev}'/></disk>" for dev in ("vda", "vdz", "vdaa"))
    text = f"<domain><devices>{kept}{lacking}</devices></domain>"
    addresses = dialect.read(domain_xml.with_addresses(text)).findall("devices/disk/address")
    assert [each.get("unit") for each in addresses] == ["7", "0", "25", "26"]
    complete = f"<domain><devices>{kept}</devices></domain>"
    assert domain_xml.with_addresses(complete) is complete


def test_containers_are_told_from_machines() -> None:
    machine = "<domain type='kvm'><name>containerType</name></domain>"
    assert dialect.container_in(machine) is None
    assert dialect.container_in(final_xml("web", DISK, bridge="br0")) is not None
    assert dialect.container_in("<domain type='oci'/>") is not None
    with pytest.raises(ValueError, match="DOCTYPE"):
        dialect.container_in("<!DOCTYPE a [<!ENTITY b 'containerType'>]><domain/>")


def test_the_namespaces_are_covirts_own() -> None:
    for name in ("COVIRT", "STOP_CAUSE"):
        assert getattr(dialect, f"{name}_NAMESPACE") == getattr(covirt_dialect, f"{name}_NAMESPACE")
    assert dialect.CONTAINER_NAMESPACE == covirt_dialect.OVIRT_CONTAINER_NAMESPACE
    assert dialect.DRIVE_MAP_NAMESPACE == covirt_dialect.OVIRT_DRIVE_MAP_NAMESPACE
    assert dialect.VM_NAMESPACE == covirt_dialect.OVIRT_VM_NAMESPACE


def test_the_documented_expressions_allow_what_is_documented() -> None:
    """They are joined by ``;``, so none may contain it, and neither may a value."""
    page = (ADDON.parents[1] / "docs/vdsm-addon.md").read_text()
    line = re.search(r"'UserDefinedVMProperties=(.*)'", page)
    assert line is not None
    expressions = dict(part.split("=", 1) for part in line[1].split(";"))
    values = {
        "containerType": ("docker", "crun"),
        "containerImage": ("nginx", "docker://nginx", DISK, "vda"),
        "volumeMap": ("data:vda,vdb:/srv/logs", "data:vda"),
        "containerCommand": ("serve --all", '["sh", "-c", "a\\u003b b"]'),
        "containerEnvironment": ('{"TZ": "UTC"}', "TZ=UTC LANG=C"),
        "containerRestart": ("never", "on-failure", "always"),
        "containerRoot": ("stateless", "vda"),
        "containerDiscard": ("/var/cache,/tmp/work",),
    }
    assert expressions.keys() == values.keys()
    for name, each in values.items():
        for value in each:
            assert re.fullmatch(expressions[name], value), (name, value)
            if value not in (DISK, "vda"):
                properties(**{name: value})
    assert not re.fullmatch(expressions["containerImage"], "/etc/shadow")
