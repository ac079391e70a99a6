# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a test left behind: a snapshot before, a comparison after, and the removal of what is too much."""

import time
from typing import Final

from tests.support.leak_kinds import ALWAYS, FILES, IN_A_WORLD, Things
from tests.support.processes import without_families_of

_SETTLE_SECONDS: Final = 20.0  # a process, a link or a cgroup may take a moment to go after its end was ordered


class LeakCheck:
    """Take it before the test; ask left_behind() after it."""

    def __init__(self, *, world: bool) -> None:
        self._kinds = (*ALWAYS, *(IN_A_WORLD if world else ()), *FILES)
        self._before = {kind.name: kind.list() for kind in self._kinds}

    def left_behind(self) -> list[str]:
        """A line per kind of leak; each leaked thing is removed, so that the next test starts clean."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while (extra := self._extra()) and time.monotonic() < deadline:
            time.sleep(0.02)
        lines = []
        for kind in self._kinds:
            if things := extra.get(kind.name):
                lines.append(f"{kind.name}: " + ", ".join(sorted(things.values())))
                kind.remove(things)
        return lines

    def _extra(self) -> dict[str, Things]:
        found: dict[str, Things] = {}
        for kind in self._kinds:
            before = self._before[kind.name]
            things = {key: words for key, words in kind.list().items() if key not in before}
            if kind.name == "processes":  # a daemon of a wider fixture may start and end children as it likes
                things = without_families_of(before, things)
            if things:
                found[kind.name] = things
        return found
