# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What unprivileged users may take of the server over its read-only socket, which is open to everybody on the host.

Neither one user nor all of them together can keep the workers or the memory from root and from the socket's group.
Lives in the event loop.
"""

from collections import Counter, deque
from collections.abc import Callable

Start = Callable[[], None]


class CallShares:
    """At most so many calls at once of one user, and of all; what waits is started user by user, in turns.

    What waits is bounded by its sessions, which have few calls in flight each.
    """

    def __init__(self, *, per_user: int, overall: int) -> None:
        self._per_user = per_user
        self._overall = overall
        self._running: Counter[int] = Counter()
        self._waiting: dict[int, deque[Start]] = {}  # the user whose turn it is first

    def submit(self, uid: int, start: Start) -> None:
        """Call ``start`` now or when it is its turn; done() must follow each call that was started."""
        self._waiting.setdefault(uid, deque()).append(start)
        self._next()

    def done(self, uid: int) -> None:
        self._running[uid] -= 1
        if not self._running[uid]:
            del self._running[uid]
        self._next()

    def _next(self) -> None:
        while self._running.total() < self._overall:
            uid = next((uid for uid in self._waiting if self._running[uid] < self._per_user), None)
            if uid is None:
                return
            calls = self._waiting.pop(uid)
            start = calls.popleft()
            if calls:
                self._waiting[uid] = calls  # at the end: the others are first now
            self._running[uid] += 1
            start()


class MemoryShares:
    """Bytes held for clients, by user and for all of them together."""

    def __init__(self, *, per_user: int, overall: int) -> None:
        self._per_user = per_user
        self._overall = overall
        self._held: Counter[int] = Counter()

    def change(self, uid: int, by_bytes: int) -> None:
        self._held[uid] += by_bytes
        if not self._held[uid]:
            del self._held[uid]

    def exceeded(self, uid: int) -> bool:
        """Whether this user holds more than it may, or all do and it is among them."""
        return self._held[uid] > self._per_user or (
            self._held.total() > self._overall and self._held[uid] == max(self._held.values())
        )
