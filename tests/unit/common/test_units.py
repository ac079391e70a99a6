# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes are read as libvirt reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.common.units import BadSize, parse_size, readable_size, size_bytes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("17", 17), ("1 b", 1), ("2 bytes", 2), ("1k", 1024), ("1 KiB", 1024), ("1 KB", 1000),
        ("64MiB", 67108864), ("64 M", 67108864), ("3 GB", 3_000_000_000), ("1 t", 1 << 40), (" 5 gib ", 5 << 30),
    ],
)  # fmt: skip
def test_sizes_with_units(text: str, value: int) -> None:
    assert parse_size(text) == value


@pytest.mark.parametrize("text", ["", "MiB", "1.5 GiB", "-1", "1 parsec", "1 KiB KiB", "٣ KiB", "0x10", "9" * 30])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(BadSize) as caught:
        parse_size(text)
    assert "whole number" in str(caught.value)


def test_the_unit_may_stand_in_its_own_attribute() -> None:
    assert size_bytes("512", " MiB ") == size_bytes("524288", "KiB")


@given(st.integers(min_value=0, max_value=10**15))
def test_a_bare_number_is_bytes(value: int) -> None:
    assert parse_size(str(value)) == value


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (67108864, "64.0 MiB"), (1 << 42, "4.0 TiB")]
)
def test_sizes_for_people(value: int, text: str) -> None:
    assert readable_size(value) == text
