# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Files that an engine sends along become a disc, and stand nowhere else."""

import stat
from pathlib import Path

import pytest
from lxml import etree

from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.errors import BadPayload
from covirt.host.virt.payloads import Payload, PayloadDiscs, insert_disc, read_payload, take_files_out
from tests.support.discs import read_disc
from tests.support.engine_xml import DRIVE, payload_facts
from tests.unit.host.virt.test_container_xml import engine_xml

VM_ID = "2b37f4ae-6ce4-4e5c-9d9a-9ae9a5b2e2e1"
FILES = {
    "openstack/latest/meta_data.json": b'{"hostname": "web"}',
    "openstack/latest/user_data": b"#cloud-config\n" * 300,
    "openstack/content/0000": b"",
    "Ünattend.xml": b"<unattend/>",
}


def domain(facts: str, *, drive: str = DRIVE) -> etree._Element:
    return read_xml(engine_xml(drive).replace("</ovirt-vm:vm>", f"{facts}</ovirt-vm:vm>"))


@pytest.mark.parametrize("way", ["rr_path", "joliet_path"])
def test_every_guest_reads_the_names_as_they_are(tmp_path: Path, way: str) -> None:
    payload = read_payload(domain(payload_facts(FILES)))
    assert payload == Payload(drive="hdd", label="config-2", files=FILES)
    discs = PayloadDiscs(tmp_path / "discs")
    path = discs.make(VM_ID, payload)
    assert discs.make(VM_ID, payload) == path, "a start that is tried again"
    assert read_disc(path, way=way) == FILES
    assert Path(path).read_bytes()[0x8028:0x8048].rstrip() == b"config-2"
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    for _ in range(2):
        discs.remove(VM_ID)
    assert list((tmp_path / "discs").iterdir()) == []


def test_the_files_are_taken_out_of_the_xml() -> None:
    root = domain(payload_facts({"user_data": b"password: secret"}))
    payload = read_payload(root)
    assert take_files_out(root)
    assert "cGFzc3dvcmQ" not in write_xml(root)
    assert "PAYLOAD:" not in write_xml(root)
    assert (read_payload(root), take_files_out(root)) == (None, False)
    assert "secret" not in repr(payload)
    insert_disc(root, "hdd", "/run/disc.iso")
    (source,) = root.findall("devices/disk/source")
    assert source.items() == [("file", "/run/disc.iso")]
    assert len(source) == 0, "libvirt gives it to whom the machine runs as"


def test_a_machine_without_any(tmp_path: Path) -> None:
    root = read_xml(engine_xml())
    before = write_xml(root)
    assert read_payload(root) is None
    assert not take_files_out(root)
    assert write_xml(root) == before
    PayloadDiscs(tmp_path / "none").remove(VM_ID)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (payload_facts({"../etc/passwd": b""}), "no path on a disc"),
        (payload_facts({"a//b": b""}), "no path on a disc"),
        (payload_facts({"": b""}), "no path on a disc"),
        (payload_facts({"a/b/c/d/e/f/g/h": b""}), "no path on a disc"),
        (payload_facts({"n" * 65: b""}), "no path on a disc"),
        (payload_facts({"a": b"", "a/b": b""}), "name of a directory"),
        (payload_facts({"a": b"x" * (1 << 20), "b": b"x"}), "64 files and 1 MiB"),
        (payload_facts({str(number): b"" for number in range(65)}), "64 files and 1 MiB"),
        (payload_facts({"a": b""}).replace('path="a">', 'path="a">!'), "a is not in base64"),
        (payload_facts({"a": b""}, label="l" * 17), "16 characters"),
        (payload_facts({"a": b""}, name="fda"), "no CD-ROM drive of this name"),
        (payload_facts({"a": b""}) * 2, "one such disc"),
    ],
)
def test_what_no_disc_can_be_made_of(facts: str, words: str) -> None:
    with pytest.raises(BadPayload, match=words):
        read_payload(domain(facts))
