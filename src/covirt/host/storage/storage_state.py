# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which pool is connected and who holds which volume, kept while the boot lasts so that a new agent goes on."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

from covirt.common.files import BrokenFile, make_directory, read_json, write_json
from covirt.host.storage.pool import Pool
from covirt.host.storage.storage_errors import UsedByOthers, VolumeTaken
from covirt.host.virt.volumes import VolumeRef

_VERSION: Final = 1


def _nobody() -> Mapping[VolumeRef, frozenset[str]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageState:
    """``held``: who uses which volume."""

    pool: Pool | None = None
    held: Mapping[VolumeRef, frozenset[str]] = field(default_factory=_nobody)

    def as_json(self) -> dict[str, Any]:
        return {
            "pool": None if self.pool is None else self.pool.as_json(),
            "held": [{"ref": asdict(ref), "users": sorted(users)} for ref, users in self.held.items()],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        held = {VolumeRef(**entry["ref"]): frozenset(entry["users"]) for entry in value["held"]}
        pool = None if value["pool"] is None else Pool.from_json(value["pool"])
        return cls(pool=pool, held=MappingProxyType(held))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Claim:
    """None: all images, all volumes. ``allowed`` None: beside everything but what claims it for itself."""

    domain_id: str
    image_id: str | None
    volume_id: str | None
    purpose: str
    allowed: frozenset[str] | None

    def meets(self, domain_id: str, image_id: str | None, volume_id: str | None) -> bool:
        pairs = ((self.image_id, image_id), (self.volume_id, volume_id))
        return self.domain_id == domain_id and all(None in pair or pair[0] == pair[1] for pair in pairs)


class StateFile:
    """The present state; a change is on disk before it counts. Thread-safe.

    Beside it, in memory, who changes which volume just now: whoever looks for users and then removes takes the volume
    for itself first, so that no user comes in between. A killed agent changes nothing any more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._state = StorageState()
        self._claims: list[_Claim] = []

    @property
    def now(self) -> StorageState:
        return self._state

    def load(self) -> None:
        """Raises BrokenFile, UnknownFileVersion."""
        make_directory(self._path.parent)
        try:
            self._state = StorageState.from_json(read_json(self._path, versions=range(1, _VERSION + 1)))
        except FileNotFoundError:
            return
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenFile(path=self._path, reason=repr(error)) from error

    def change(self, changed: Callable[[StorageState], StorageState]) -> None:
        with self._lock:
            state = changed(self._state)
            if state != self._state:
                write_json(self._path, state.as_json(), version=_VERSION, durable=False)
                self._state = state

    def set_pool(self, pool: Pool | None) -> None:
        self.change(lambda state: replace(state, pool=pool))

    def hold(self, ref: VolumeRef, user: str) -> bool:
        """Tells whether it was not held by this user already. Raises VolumeTaken."""
        new = False

        def with_user(state: StorageState) -> StorageState:
            nonlocal new
            for claim in self._claims:
                may = claim.allowed is None or user in claim.allowed
                if claim.meets(ref.domain_id, ref.image_id, ref.volume_id) and not may:
                    raise VolumeTaken(volume_id=ref.volume_id, purpose=claim.purpose)
            users = state.held.get(ref, frozenset())
            new = user not in users
            return _with_users(state, ref, users | {user})

        self.change(with_user)
        return new

    @contextmanager
    def alone(
        self,
        domain_id: str,
        image_id: str | None,
        volume_id: str | None,
        *,
        purpose: str,
        allowed: Collection[str] = (),
    ) -> Iterator[None]:
        """Nobody but ``allowed`` holds the volume, or any of the image or of the domain, and nobody will.

        Raises UsedByOthers.
        """
        claim = _Claim(
            domain_id=domain_id, image_id=image_id, volume_id=volume_id, purpose=purpose, allowed=frozenset(allowed)
        )
        with self._lock:
            held = self._state.held.items()
            same = (users for ref, users in held if claim.meets(ref.domain_id, ref.image_id, ref.volume_id))
            users = frozenset().union(*same) - frozenset(allowed)
            users |= {other.purpose for other in self._claims if other.meets(domain_id, image_id, volume_id)}
            if users:
                raise UsedByOthers(users=", ".join(sorted(users)))
            self._claims.append(claim)
        with self._claimed(claim):
            yield

    @contextmanager
    def beside_others(self, domain_id: str, image_id: str, volume_id: str, *, purpose: str) -> Iterator[None]:
        """Nobody takes the volume for itself meanwhile. Raises VolumeTaken."""
        claim = _Claim(domain_id=domain_id, image_id=image_id, volume_id=volume_id, purpose=purpose, allowed=None)
        with self._lock:
            for other in self._claims:
                if other.allowed is not None and other.meets(domain_id, image_id, volume_id):
                    raise VolumeTaken(volume_id=volume_id, purpose=other.purpose)
            self._claims.append(claim)
        with self._claimed(claim):
            yield

    @contextmanager
    def _claimed(self, claim: _Claim) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._claims.remove(claim)

    def let_go(self, ref: VolumeRef, user: str) -> None:
        self.change(lambda state: _with_users(state, ref, state.held.get(ref, frozenset()) - {user}))


def _with_users(state: StorageState, ref: VolumeRef, users: frozenset[str]) -> StorageState:
    held = {**state.held, ref: users}
    if not users:
        del held[ref]
    return replace(state, held=MappingProxyType(held))
