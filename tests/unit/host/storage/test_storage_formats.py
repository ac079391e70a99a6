# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata of storage domains and volumes, byte for byte."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.host.storage.domain_format import DomainClass, DomainMetadata, StorageType, new_domain_metadata
from covirt.host.storage.image_volumes import Allocation
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_errors import (
    BadRemotePath,
    BrokenDomainMetadata,
    BrokenVolumeMetadata,
    VolumeMetadataTooLong,
)
from covirt.host.storage.storage_paths import checked_export, checked_local_path
from covirt.host.storage.volume_format import VolumeMetadata, next_generation

_ID = "5f3bd5cb-8ac3-4f0d-9a2c-3b8f7f6d9a01"
_OTHER = "6e1c6e16-9c7c-4fd8-8a8c-0c7d1b4f2a02"
_BLANK = "00000000-0000-0000-0000-000000000000"

_DOMAIN = f"""\
ALIGNMENT=1048576
BLOCK_SIZE=512
CLASS=Data
DESCRIPTION=Größe
IOOPTIMEOUTSEC=10
LEASERETRIES=3
LEASETIMESEC=60
LOCKPOLICY=
LOCKRENEWALINTERVALSEC=5
POOL_UUID=
REMOTE_PATH=/data/one
ROLE=Regular
SDUUID={_ID}
TYPE=LOCALFS
VERSION=5
"""

_VOLUME = f"""\
CAP=1048576
CTIME=1440935038
DESCRIPTION={{"DiskAlias":"one"}}
DISKTYPE=DATA
DOMAIN={_ID}
FORMAT=COW
GEN=7
IMAGE={_OTHER}
LEGALITY=LEGAL
PUUID={_BLANK}
SEQ=3
TYPE=SPARSE
VOLTYPE=LEAF
EOF
"""


def test_a_new_domain() -> None:
    metadata = new_domain_metadata(
        domain_id=_ID,
        name="Größe",
        storage_type=StorageType.LOCALFS,
        domain_class=DomainClass.DATA,
        remote_path="/data/one",
        block_size=512,
        alignment=1 << 20,
    )
    sealed = _DOMAIN.replace("\n", "").replace("ö", "&#246;").replace("ß", "&#223;").encode()
    seal = hashlib.sha1(sealed, usedforsecurity=False).hexdigest()
    assert metadata.dump().decode() == f"{_DOMAIN}_SHA_CKSUM={seal}\n"
    assert DomainMetadata.parse(metadata.dump(), domain_id=_ID) == metadata


def test_what_is_accepted_and_what_not() -> None:
    without_seal = _DOMAIN.encode()
    assert DomainMetadata.parse(without_seal + b"\0" * 99, domain_id=_ID).name == "Größe"
    later = DomainMetadata.parse(without_seal + b"A_LATER_KEY=x\n", domain_id=_ID)
    assert b"\nA_LATER_KEY=x\n" in b"\n" + later.changed(ROLE="Master").dump()
    for broken in (b"", b"\xff", without_seal.replace(b"VERSION=5", b"VERSION=five"), later.dump()[1:]):
        with pytest.raises(BrokenDomainMetadata):
            DomainMetadata.parse(broken, domain_id=_ID)
    with pytest.raises(BrokenDomainMetadata):
        DomainMetadata.parse(without_seal, domain_id=_OTHER)


def test_a_volume() -> None:
    metadata = VolumeMetadata.parse(_VOLUME.encode(), volume_id=_ID)
    assert metadata.dump(volume_id=_ID) == _VOLUME.encode()
    sizes = [_VOLUME.replace("CAP=", f"CAP={more}").encode() for more in ("-", "9" * 30)]
    for broken in (b"", _VOLUME.encode()[:-1], _VOLUME.replace("COW", "VHD").encode(), b"\xff", *sizes):
        with pytest.raises(BrokenVolumeMetadata):
            VolumeMetadata.parse(broken, volume_id=_ID)
    assert [next_generation(998), next_generation(999)] == [999, 0]


def _with_description(text: str) -> VolumeMetadata:
    return VolumeMetadata(
        domain_id=_ID,
        image_id=_OTHER,
        capacity_bytes=(1 << 63) - 1,
        format=ImageFormat.QCOW2,
        allocation=Allocation.PREALLOCATED,
        description=text,
        generation=999,
        sequence=(1 << 32) - 1,
        created_at=1440935038,
    )


@given(st.text())
def test_a_description_brings_no_keys_of_its_own(text: str) -> None:
    try:
        data = _with_description(text).dump(volume_id=_ID)
    except (VolumeMetadataTooLong, UnicodeEncodeError):
        return
    assert len(data) <= 512
    found = VolumeMetadata.parse(data, volume_id=_ID)
    assert found.dump(volume_id=_ID) == data
    assert (found.domain_id, found.capacity_bytes) == (_ID, (1 << 63) - 1)


def test_long_descriptions() -> None:
    assert b"DESCRIPTION=" + b"x" * 210 + b"\n" in _with_description("x" * 300).dump(volume_id=_ID)
    with pytest.raises(VolumeMetadataTooLong):
        _with_description("\N{SNOWMAN}" * 210).dump(volume_id=_ID)


@pytest.mark.parametrize("path", ["data", "/", "/a/../b", "/a/", "/a\nb", "", "//a//b"])
def test_bad_local_paths(path: str) -> None:
    with pytest.raises(BadRemotePath):
        checked_local_path(path)


def test_exports() -> None:
    assert checked_export("nas:/a//b/") == "nas:/a/b"
    assert checked_export("[fd00::1]:/a") == "[fd00::1]:/a"
    for bad in ("nas", "-oevil:/a", ":/a", "nas:a", "nas:/a,suid", "nas:/a\n"):
        with pytest.raises(BadRemotePath):
            checked_export(bad)


@pytest.mark.parametrize("description", ["the EOF", "EOF", "a\u2028CAP=1", "a\x0bPUUID=x", "a\x85EOF"])
def test_a_description_is_no_part_of_the_format(description: str) -> None:
    """Also one that Vdsm wrote, which leaves such signs in."""
    data = _VOLUME.replace('{"DiskAlias":"one"}', description).encode()
    found = VolumeMetadata.parse(data, volume_id=_ID)
    assert (found.description, found.capacity_bytes, found.parent_id) == (description, 1 << 20, _BLANK)
