# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What this daemon has counted since it started, for metrics."""

import threading
from collections import Counter
from dataclasses import dataclass, field


class Count:
    """A number per label that only grows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: Counter[str] = Counter()

    def add(self, label: str = "") -> None:
        with self._lock:
            self._values[label] += 1

    @property
    def values(self) -> dict[str, int]:
        """A copy, by label."""
        with self._lock:
            return dict(self._values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Labels: ``stops`` by the kind of their cause; ``restarts`` none; ``health_checks`` by their result."""

    stops: Count = field(default_factory=Count)
    restarts: Count = field(default_factory=Count)
    health_checks: Count = field(default_factory=Count)
