# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Passwords as argon2id keeps them."""

import secrets
import string
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from covirt.engine.auth.errors import LoginsBusy

# Each check takes 64 MiB for its while: this many at the same time, so that nobody takes all memory by logging in.
_AT_ONCE: Final = 4
# And so many may wait for their turn: a server's threads are there for those who are logged in, too.
_WAITING: Final = 8
_WAIT_SECONDS: Final = 10.0
_LETTERS: Final = string.ascii_letters + string.digits
_LENGTH: Final = 24
_LONGEST: Final = 1024  # bytes; a longer password is nobody's


class Passwords:
    """Threads may share it."""

    def __init__(self, parameters: Parameters = RFC_9106_LOW_MEMORY) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._room = threading.BoundedSemaphore(_AT_ONCE + _WAITING)
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._of_nobody = self._hasher.hash(random_password())

    def hash(self, password: str) -> str:
        """What may be kept. Raises LoginsBusy."""
        with self._slot():
            return self._hasher.hash(password)

    def matches(self, kept: str | None, password: str) -> bool:
        """Without anything kept it is false, and takes as long. Raises LoginsBusy."""
        if len(password.encode(errors="surrogatepass")) > _LONGEST:
            return False
        with self._slot():
            try:
                self._hasher.verify(kept or self._of_nobody, password)
            except (VerificationError, InvalidHashError, UnicodeEncodeError):
                return False
        return kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether a new hash of the same password would be a stronger one."""
        return self._hasher.check_needs_rehash(kept)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise LoginsBusy
        try:
            if not self._slots.acquire(timeout=_WAIT_SECONDS):
                raise LoginsBusy
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._room.release()


def random_password() -> str:
    """Letters and digits, of 142 bits: no shell, URL or configuration file needs it quoted."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
