# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which pool is connected and who holds which volume, kept while the boot lasts so that a new agent goes on."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

from covirt.common.files import BrokenFile, make_directory, read_json, write_json
from covirt.host.storage.pool import Pool
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


class StateFile:
    """The present state; a change is on disk before it counts. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._state = StorageState()

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

    def hold(self, ref: VolumeRef, user: str) -> None:
        self.change(lambda state: _with_users(state, ref, state.held.get(ref, frozenset()) | {user}))

    def let_go(self, ref: VolumeRef, user: str) -> None:
        self.change(lambda state: _with_users(state, ref, state.held.get(ref, frozenset()) - {user}))


def _with_users(state: StorageState, ref: VolumeRef, users: frozenset[str]) -> StorageState:
    held = {**state.held, ref: users}
    if not users:
        del held[ref]
    return replace(state, held=MappingProxyType(held))
