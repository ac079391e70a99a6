# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""User mappings: what the kernel would refuse is refused with words, and numbers translate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.oci.idmap import IdMap, IdRange, map_text, spec_mappings
from covirt.oci.isolation_errors import BadIdMap, UnmappedUser

_RANGE = st.builds(IdRange, inside=st.integers(0, 200), outside=st.integers(0, 200), count=st.integers(1, 50))


@given(st.lists(_RANGE, max_size=4))
def test_ranges_are_accepted_exactly_when_no_id_is_named_twice(more: list[IdRange]) -> None:
    ranges = [IdRange(inside=0, outside=1000, count=10), *more]
    inside = [each.inside + step for each in ranges for step in range(each.count)]
    outside = [each.outside + step for each in ranges for step in range(each.count)]
    valid = len(set(inside)) == len(inside) and len(set(outside)) == len(outside)
    try:
        idmap = IdMap(uid_first=1000, gid_first=1000, count=10, more_uids=tuple(more))
    except BadIdMap:
        assert not valid
        return
    assert valid
    for number, host in zip(inside, outside, strict=True):
        assert idmap.host_uid(number) == host


@pytest.mark.parametrize(
    ("first", "count"), [(-1, 10), (0, 0), (0xFFFF_FFFF, 1), (0xFFFF_FFFE, 2), (1000, 0xFFFF_FFFF)]
)
def test_what_is_no_range_of_ids_is_refused(first: int, count: int) -> None:
    with pytest.raises(BadIdMap):
        IdMap(uid_first=first, gid_first=1000, count=count)


def test_more_lines_than_the_kernel_takes_are_refused() -> None:
    more = tuple(IdRange(inside=100 + each, outside=5000 + each, count=1) for each in range(340))
    with pytest.raises(BadIdMap, match="341 ranges"):
        IdMap(uid_first=1000, gid_first=1000, count=10, more_uids=more)


def test_an_id_outside_is_named() -> None:
    idmap = IdMap(uid_first=1000, gid_first=2000, count=10)
    assert (idmap.host_uid(9), idmap.host_gid(9)) == (1009, 2009)
    with pytest.raises(UnmappedUser, match=r"group id 10 .* 10 ids"):
        idmap.host_gid(10)


def test_both_notations() -> None:
    ranges = (IdRange(inside=0, outside=1000, count=10), IdRange(inside=20, outside=5, count=1))
    assert map_text(ranges) == "0 1000 10\n20 5 1\n"
    assert spec_mappings(ranges)[1] == {"containerID": 20, "hostID": 5, "size": 1}


def test_the_hosts_root_is_noticed() -> None:
    assert not IdMap(uid_first=1, gid_first=1, count=10).maps_host_root
    assert IdMap(uid_first=1, gid_first=0, count=10).maps_host_root
