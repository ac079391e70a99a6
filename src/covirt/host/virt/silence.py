# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Questions that a libvirt may leave without an answer, as one that is stopped does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SILENCE_SECONDS: Final = 15.0


class Question:
    """Asked again and again by one thread; others look how long it has been waiting."""

    def __init__(self) -> None:
        self._asked: float | None = None  # of the monotonic clock

    @contextmanager
    def asked(self) -> Iterator[None]:
        """It waits for its answer inside."""
        self._asked = time.monotonic()
        try:
            yield
        finally:
            self._asked = None

    @property
    def is_overdue(self) -> bool:
        asked = self._asked
        return asked is not None and time.monotonic() - asked > _SILENCE_SECONDS
