# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Codecs: bytes as libvirt 9.0's C code makes them, and every limit."""

import struct
from uuid import UUID

import pytest

from covirt.wire.codec import codec_of
from covirt.wire.errors import MalformedMessage, Unencodable
from covirt.wire.params import ParamsCodec, TypedParam, boolean, double, int_, llong, string, uint, ullong
from covirt.wire.structs import RemoteDomain, RemoteError
from covirt.wire.structs_connect import ConnectListAllDomainsRet, ConnectOpenArgs, NodeGetInfoRet
from covirt.wire.structs_domain import DomainGetInfoRet, DomainGetSecurityLabelRet
from covirt.wire.xdr import STRING_LIMIT, CountedCharsCodec, OpaqueCodec, Source, StringCodec

WEB = RemoteDomain(name="web-0", uuid=UUID(bytes=bytes(range(16))), id=-1)


def words(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def test_domain_bytes() -> None:
    expected = words("00000005 7765622d30 000000 000102030405060708090a0b0c0d0e0f ffffffff")
    assert codec_of(RemoteDomain).encode(WEB) == expected
    assert codec_of(RemoteDomain).decode(expected) == WEB


def test_typed_param_bytes() -> None:
    codec = ParamsCodec(16)
    assert codec.encode((ullong("cpu.time", 5),)) == words(
        "00000001 00000008 6370752e74696d65 00000004 0000000000000005"
    )
    everything = (
        int_("a", -1),
        uint("bb", 2**32 - 1),
        llong("ccc", -(2**63)),
        ullong("dddd", 2**64 - 1),
        double("e", 1.5),
        boolean("f", True),
        string("g", "veth0"),
    )
    expected = words(
        "00000007"
        "00000001 61000000 00000001 ffffffff"
        "00000002 62620000 00000002 ffffffff"
        "00000003 63636300 00000003 8000000000000000"
        "00000004 64646464 00000004 ffffffffffffffff"
        "00000001 65000000 00000005 3ff8000000000000"
        "00000001 66000000 00000006 00000001"
        "00000001 67000000 00000007 00000005 7665746830 000000"
    )
    assert codec.encode(everything) == expected
    assert codec.decode(expected) == everything


def test_small_numbers_take_four_bytes() -> None:
    info = DomainGetInfoRet(state=1, max_mem=65536, memory=32768, nr_virt_cpu=2, cpu_time=10**9)
    assert codec_of(DomainGetInfoRet).encode(info) == words(
        "00000001 0000000000010000 0000000000008000 00000002 000000003b9aca00"
    )


def test_char_array_takes_four_bytes_a_character() -> None:
    info = NodeGetInfoRet(model="x86_64", memory=1, cpus=2, mhz=3, nodes=4, sockets=5, cores=6, threads=7)
    data = codec_of(NodeGetInfoRet).encode(info)
    assert len(data) == 160
    assert data[:12] == words("00000078 00000038 00000036")
    assert codec_of(NodeGetInfoRet).decode(data) == info


def test_label_carries_its_final_nul() -> None:
    codec = codec_of(DomainGetSecurityLabelRet)
    assert codec.encode(DomainGetSecurityLabelRet(label="ab", enforcing=1)) == words(
        "00000003 00000061 00000062 00000000 00000001"
    )
    assert codec.encode(DomainGetSecurityLabelRet(label="", enforcing=0)) == words("00000001 00000000 00000000")


def test_error_bytes() -> None:
    error = RemoteError(code=42, domain=20, message="no")
    data = codec_of(RemoteError).encode(error)
    assert data == words("0000002a 00000014 00000001 00000002 6e6f0000 00000002") + bytes(4 * 7)
    assert codec_of(RemoteError).decode(data) == error


def test_any_flag_but_zero_is_present_and_what_follows_is_ignored() -> None:
    # go-libvirt sends 01000000 as the flag of CONNECT_OPEN's name, and older ones send arguments nobody asked for.
    data = words("01000000 00000003 6f636900 00000001 deadbeef")
    assert codec_of(ConnectOpenArgs).decode(data) == ConnectOpenArgs(name="oci", flags=1)


def test_text_that_is_not_utf8_survives() -> None:
    codec = StringCodec()
    assert codec.decode(words("00000002 ff610000")) == "\udcffa"
    assert codec.encode("\udcffa") == words("00000002 ff610000")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "ends within a number"),
        ("0000", "ends within a number"),
        ("00000005 61", "ends within 5 bytes"),
        ("00000001 61", "ends within 1 bytes"),  # the padding is missing
        ("00000002 61000000", "NUL"),
        ("00400001", "over the limit"),
        ("ffffffff", "over the limit"),
    ],
)
def test_broken_text_is_refused(data: str, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        StringCodec().decode(words(data))


def test_limits_of_what_is_sent() -> None:
    with pytest.raises(Unencodable, match="over the limit"):
        StringCodec().encode("x" * (STRING_LIMIT + 1))
    with pytest.raises(Unencodable, match="NUL"):
        StringCodec().encode("a\0b")
    with pytest.raises(Unencodable, match="surrogates"):
        StringCodec().encode("\ud800")
    with pytest.raises(Unencodable, match="over the limit"):
        OpaqueCodec(4).encode(b"12345")
    with pytest.raises(Unencodable, match="over the limit"):
        CountedCharsCodec(4).encode("1234")
    with pytest.raises(Unencodable, match="over the limit 16"):
        ParamsCodec(16).encode(tuple(uint("x", 1) for _ in range(17)))
    with pytest.raises(Unencodable, match="unknown type 9"):
        ParamsCodec(16).encode((TypedParam("x", 9, 1),))
    with pytest.raises(Unencodable, match="16385 entries"):
        codec_of(ConnectListAllDomainsRet).encode(ConnectListAllDomainsRet(domains=(WEB,) * 16385, ret=16385))


@pytest.mark.parametrize("value", [-1, 2**32, 2**70])
def test_number_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(Unencodable):
        codec_of(ConnectOpenArgs).encode(ConnectOpenArgs(name=None, flags=value))


def test_impossible_count_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(MalformedMessage, match="does not fit"):
        codec_of(ConnectListAllDomainsRet).decode(struct.pack(">I", 16384) + bytes(64))
    with pytest.raises(MalformedMessage, match="do not fit"):
        ParamsCodec(262144).decode(struct.pack(">I", 262144) + bytes(64))


def test_unknown_parameter_type_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="unknown type 8"):
        ParamsCodec(16).decode(words("00000001 00000001 61000000 00000008 00000000"))


def test_source_counts_what_is_left() -> None:
    source = Source(bytes(10))
    source.opaque(3)
    assert source.remaining == 6
