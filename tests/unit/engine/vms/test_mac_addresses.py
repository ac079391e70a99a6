# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from covirt.engine.model.network import MacPool, MacRange
from covirt.engine.vms.errors import BadMac, NoFreeMac
from covirt.engine.vms.mac_addresses import free_mac, pool_size, read_mac

POOL = MacPool(
    id="p",
    name="pots",
    ranges=(
        MacRange(first="56:6f:00:00:00:fe", last="56:6f:00:00:01:01"),
        MacRange(first="56:6f:00:01:00:00", last="56:6f:00:01:00:00"),
    ),
)


def test_all_of_a_pool_are_given_away_once() -> None:
    used: set[str] = set()
    for _ in range(pool_size(POOL)):
        used.add(free_mac(POOL, used.__contains__, start=3))
    assert sorted(used) == [
        "56:6f:00:00:00:fe",
        "56:6f:00:00:00:ff",
        "56:6f:00:00:01:00",
        "56:6f:00:00:01:01",
        "56:6f:00:01:00:00",
    ]
    with pytest.raises(NoFreeMac, match="pots"):
        free_mac(POOL, used.__contains__)


def test_a_pool_of_addresses_of_groups_gives_none() -> None:
    odd = MacPool(id="p", name="odd", ranges=(MacRange(first="01:00:00:00:00:01", last="01:00:00:00:00:02"),))
    with pytest.raises(NoFreeMac):
        free_mac(odd, lambda _mac: False)


def test_what_a_mac_address_is() -> None:
    assert read_mac(" 56-6F-00-00-00-01 ") == "56:6f:00:00:00:01"
    for text in ("", "56:6f:00:00:00", "01:00:00:00:00:01", "00:00:00:00:00:00", "56:6f:00:00:00:0g"):
        with pytest.raises(BadMac):
            read_mac(text)
