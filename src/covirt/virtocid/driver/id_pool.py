# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which host ids a domain's users are: a range of 65,536 per domain, from define to undefine.

Installations (roots) on one machine take ranges in order, each from a place of its own that its id chooses: two with
ten domains each meet once in two hundred times.
"""

import hashlib
import threading
from typing import Final
from uuid import UUID

from covirt.common.errors import Conflict, Unavailable
from covirt.oci.idmap import IdMap

RANGE_SIZE: Final = 65536


class NoFreeIds(Unavailable):
    template = "all {count} ranges of host ids are in use; undefine domains, or widen the pool (setting ids.ranges)"


class IdsInUse(Conflict):
    template = "host ids {first} and up belong to domain {owner} and cannot be given to {uuid} too"


class IdsOfPool(Conflict):
    template = (
        "the <idmap> maps host ids from {first}, which domains get from the pool {begin} to {end}; "
        "choose ids outside of it, or leave <idmap> away"
    )


class IdPool:
    """Hands out ranges. Safe to use from any thread; what is taken is remembered in the domains' records only."""

    def __init__(self, *, first: int, ranges: int, root_id: str) -> None:
        begin = int.from_bytes(hashlib.sha256(root_id.encode()).digest()[:4], "big")
        self._begin, self._end = first, first + ranges * RANGE_SIZE
        self._firsts = tuple(first + (begin + index) % ranges * RANGE_SIZE for index in range(ranges))
        self._owners: dict[int, UUID] = {}
        self._lock = threading.Lock()

    def take(self, uuid: UUID) -> int:
        """The first id of a free range, or of the one this domain has already. Raises NoFreeIds."""
        with self._lock:
            for first, owner in self._owners.items():
                if owner == uuid:
                    return first
            for first in self._firsts:
                if first not in self._owners:
                    self._owners[first] = uuid
                    return first
        raise NoFreeIds(count=len(self._firsts))

    def reserve(self, uuid: UUID, first: int) -> None:
        """Remember what a stored domain has, also when the pool was elsewhere at that time. Raises IdsInUse."""
        with self._lock:
            for other, owner in self._owners.items():
                if abs(other - first) < RANGE_SIZE and owner != uuid:
                    raise IdsInUse(first=first, owner=owner, uuid=uuid)
            self._owners[first] = uuid

    def require_apart(self, uuid: UUID, idmap: IdMap) -> None:
        """Refuse a mapping of the domain's own onto host ids that are another domain's, or may become so.

        Its own range is fine. Raises IdsInUse, IdsOfPool.
        """
        with self._lock:
            owners = dict(self._owners)
        own = [first for first, owner in owners.items() if owner == uuid]
        for each in (*idmap.uids, *idmap.gids):
            last = each.outside + each.count
            if any(first <= each.outside and last <= first + RANGE_SIZE for first in own):
                continue
            for first, owner in owners.items():
                if owner != uuid and each.outside < first + RANGE_SIZE and first < last:
                    raise IdsInUse(first=first, owner=owner, uuid=uuid)
            if each.outside < self._end and self._begin < last:
                raise IdsOfPool(first=each.outside, begin=self._begin, end=self._end - 1)

    def free(self, uuid: UUID) -> None:
        """Give back all that a domain has; nothing is fine."""
        with self._lock:
            self._owners = {first: owner for first, owner in self._owners.items() if owner != uuid}
