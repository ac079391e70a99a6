# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Headers of qcow2 images that strangers wrote."""

import contextlib
import struct

from hypothesis import given
from hypothesis import strategies as st

from covirt.host.storage.qcow2_header import BrokenQcow2Header, parse_header


def header(*, version: int = 3, name: bytes = b"", name_at: int = 512, features: int = 0, rest: bytes = b"") -> bytes:
    first = struct.pack(">4sIQIIQ", b"QFI\xfb", version, name_at if name else 0, len(name), 16, 1 << 20)
    if version == 3:
        first = first.ljust(72, b"\0") + struct.pack(">Q", features).ljust(28, b"\0") + struct.pack(">I", 104)
    else:
        first = first.ljust(72, b"\0")
    return (first + rest).ljust(512, b"\0") + name.ljust(512, b"\0")


def test_names_are_found_where_qemu_finds_them() -> None:
    raw = struct.pack(">II", 0xE2792ACA, 3) + b"raw".ljust(8, b"\0")
    for version in (2, 3):
        found = parse_header(header(version=version, name=b"base", rest=raw))
        assert (found.backing_file, found.backing_format, found.has_data_file) == ("base", "raw", False)
        assert found.virtual_bytes == 1 << 20
    assert parse_header(header(features=4)).has_data_file
    assert parse_header(header()).backing_file is None
    # QEMU reads extensions no further than the name goes, and the list's end ends it.
    assert parse_header(header(name=b"base", rest=bytes(8) + raw)).backing_format is None


@given(st.binary(max_size=700), st.integers(0, 1 << 64 - 1), st.integers(0, 1 << 32 - 1))
def test_no_header_does_more_than_to_be_refused(data: bytes, name_at: int, length: int) -> None:
    crafted = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, name_at, length & 0xFFFFFFFF, 16, 0) + data
    for text in (data, crafted):
        with contextlib.suppress(BrokenQcow2Header):
            parse_header(text)
