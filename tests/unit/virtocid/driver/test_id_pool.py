# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Ids: each domain has a range of its own for as long as it is defined."""

from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from covirt.oci.idmap import IdMap, IdRange
from covirt.virtocid.driver.id_pool import RANGE_SIZE, IdPool, IdsInUse, IdsOfPool, NoFreeIds

FIRST = 1_879_048_192


def pool(ranges: int = 4094, root_id: str = "abcdef") -> IdPool:
    return IdPool(first=FIRST, ranges=ranges, root_id=root_id)


def test_ranges_do_not_overlap() -> None:
    ids = pool()
    firsts = sorted(ids.take(uuid4()) for _ in range(100))
    assert all(later - earlier >= RANGE_SIZE for earlier, later in pairwise(firsts))
    assert firsts[0] >= FIRST
    assert firsts[-1] + RANGE_SIZE <= FIRST + 4094 * RANGE_SIZE


def test_taking_twice_gives_the_same() -> None:
    ids, uuid = pool(), uuid4()
    assert ids.take(uuid) == ids.take(uuid)


def test_what_is_freed_is_given_again() -> None:
    ids, uuids = pool(ranges=3), [uuid4() for _ in range(3)]
    taken = [ids.take(uuid) for uuid in uuids]
    with pytest.raises(NoFreeIds, match="all 3 ranges"):
        ids.take(uuid4())
    ids.free(uuids[1])
    ids.free(uuids[1])
    assert ids.take(uuid4()) == taken[1]


def test_stored_ranges_are_not_given_again() -> None:
    first, ids = pool(ranges=2).take(uuid4()), pool(ranges=2)
    owner = uuid4()
    ids.reserve(owner, first)
    assert ids.take(owner) == first
    assert ids.take(uuid4()) != first
    with pytest.raises(IdsInUse, match=str(owner)):
        ids.reserve(UUID(int=1), first + 1)


def test_a_range_outside_the_pool_is_remembered() -> None:
    ids, uuid = pool(), uuid4()
    ids.reserve(uuid, 100_000)
    assert ids.take(uuid) == 100_000


def test_roots_rarely_meet() -> None:
    """Twenty roots with ten domains each have 200 ranges, or few less."""
    pools = [pool(root_id=f"root{index:02}") for index in range(20)]
    assert len({ids.take(uuid4()) for ids in pools for _ in range(10)}) >= 180


def test_one_root_may_use_the_whole_pool() -> None:
    ids = pool(ranges=200)
    assert {ids.take(uuid4()) for _ in range(200)} == {FIRST + index * RANGE_SIZE for index in range(200)}
    with pytest.raises(NoFreeIds):
        ids.take(uuid4())


def _map(uid: int, gid: int | None = None, *, more: tuple[IdRange, ...] = ()) -> IdMap:
    return IdMap(uid_first=uid, gid_first=uid if gid is None else gid, count=1000, more_uids=more)


def test_a_chosen_mapping_stays_away_from_other_domains() -> None:
    ids, web, mail = pool(), uuid4(), uuid4()
    first = ids.take(web)
    ids.reserve(mail, 400_000)  # of a pool that was elsewhere
    ids.require_apart(web, _map(first + 100))
    ids.require_apart(web, _map(100_000, 300_000, more=(IdRange(inside=1000, outside=0, count=1),)))
    for uid, owner in ((first, web), (first - 999, web), (400_000 + RANGE_SIZE - 1, mail)):
        with pytest.raises(IdsInUse, match=str(owner)):
            ids.require_apart(UUID(int=1), _map(uid))
        with pytest.raises(IdsInUse, match=str(owner)):
            ids.require_apart(UUID(int=1), _map(100_000, uid))
    with pytest.raises(IdsInUse):
        ids.require_apart(UUID(int=1), _map(100_000, more=(IdRange(inside=1000, outside=first, count=1),)))


def test_a_chosen_mapping_stays_away_from_the_pool() -> None:
    """Also from another installation's share, and from what is free now: a later domain gets it."""
    ids, end = pool(), FIRST + 4094 * RANGE_SIZE
    for first in (FIRST - 999, FIRST + 3000 * RANGE_SIZE, end - 1):
        with pytest.raises(IdsOfPool, match=str(first)):
            ids.require_apart(UUID(int=1), _map(first))
    ids.require_apart(UUID(int=1), _map(FIRST - 1000))
    ids.require_apart(UUID(int=1), _map(end))
