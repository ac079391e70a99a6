# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which host ids stand for which ids of a container."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from covirt.oci.isolation_errors import BadIdMap, UnmappedUser

# The kernel takes at most this many lines in /proc/PID/uid_map (user_namespaces(7)).
_RANGE_LIMIT: Final = 340
_LAST_ID: Final = 0xFFFF_FFFE  # 4294967295 means "no id"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRange:
    """``count`` ids from ``inside`` in the container are ``outside`` and up on the host."""

    inside: int
    outside: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IdMap:
    """A container's user mapping: ``count`` ids from 0, and, when a domain asks for it, further ranges.

    Raises BadIdMap when the kernel would refuse it.
    """

    uid_first: int
    gid_first: int
    count: int
    more_uids: tuple[IdRange, ...] = ()
    more_gids: tuple[IdRange, ...] = ()

    def __post_init__(self) -> None:
        _check(self.uids)
        _check(self.gids)

    @property
    def uids(self) -> tuple[IdRange, ...]:
        return (IdRange(inside=0, outside=self.uid_first, count=self.count), *self.more_uids)

    @property
    def gids(self) -> tuple[IdRange, ...]:
        return (IdRange(inside=0, outside=self.gid_first, count=self.count), *self.more_gids)

    @property
    def maps_host_root(self) -> bool:
        """True when some id of the container is the host's root: no isolation worth the name."""
        return any(each.outside == 0 for each in (*self.uids, *self.gids))

    def host_uid(self, uid: int) -> int:
        """The host's number for the container's ``uid``. Raises UnmappedUser."""
        return _outside(self.uids, uid, "user id")

    def host_gid(self, gid: int) -> int:
        """The host's number for the container's ``gid``. Raises UnmappedUser."""
        return _outside(self.gids, gid, "group id")


def map_text(ranges: Iterable[IdRange]) -> str:
    """The text that /proc/PID/uid_map takes."""
    return "".join(f"{each.inside} {each.outside} {each.count}\n" for each in ranges)


def spec_mappings(ranges: Iterable[IdRange]) -> list[dict[str, int]]:
    """The same ranges in the words of config.json (linux.uidMappings)."""
    return [{"containerID": each.inside, "hostID": each.outside, "size": each.count} for each in ranges]


def _check(ranges: tuple[IdRange, ...]) -> None:
    if len(ranges) > _RANGE_LIMIT:
        raise BadIdMap(reason=f"it has {len(ranges)} ranges and the kernel takes {_RANGE_LIMIT}")
    for each in ranges:
        if each.count < 1 or min(each.inside, each.outside) < 0 or max(each.inside, each.outside) > _LAST_ID:
            raise BadIdMap(reason=f"the range {each.inside} {each.outside} {each.count} is not a range of ids")
        if max(each.inside, each.outside) + each.count - 1 > _LAST_ID:
            raise BadIdMap(reason=f"the range {each.inside} {each.outside} {each.count} ends past the last id")
    _check_overlap(sorted((each.inside, each.count) for each in ranges), "inside the container")
    _check_overlap(sorted((each.outside, each.count) for each in ranges), "on the host")


def _check_overlap(spans: list[tuple[int, int]], where: str) -> None:
    for (first, count), (following, _) in itertools.pairwise(spans):
        if first + count > following:
            raise BadIdMap(reason=f"two ranges overlap {where}, at id {following}")


def _outside(ranges: tuple[IdRange, ...], number: int, what: str) -> int:
    for each in ranges:
        if each.inside <= number < each.inside + each.count:
            return each.outside + number - each.inside
    raise UnmappedUser(what=what, number=number, count=sum(each.count for each in ranges))
