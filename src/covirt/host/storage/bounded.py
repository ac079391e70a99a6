# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Calls into storage that may never come back: each in a thread of its own, which is left behind when it hangs."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from covirt.common.log import carrying_flow
from covirt.host.storage.storage_errors import NoSpaceLeft, StorageDomainSilent, StorageDomainUnusable

Result = TypeVar("Result")

_INSIDE_LIMIT: Final = 32


@contextmanager
def storage_failures(domain_id: str) -> Iterator[None]:
    """OSErrors as what they mean to a caller."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpaceLeft(domain_id=domain_id) from error
        raise StorageDomainUnusable(domain_id=domain_id, reason=os.strerror(error.errno or 0)) from error


class BoundedCalls:
    """Waits for storage as long as it was told. Storage that holds many threads already is not asked again."""

    def __init__(self, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._inside: dict[str, int] = {}

    def call(self, where: str, function: Callable[[], Result], *, timeout_seconds: float | None = None) -> Result:
        """Its result, or its exception as storage_failures() has it. ``where`` names the storage.

        Raises StorageDomainSilent, and StorageDomainUnusable where there can be no thread for it.
        """
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        results: list[Result] = []
        failures: list[BaseException] = []

        def body() -> None:
            try:
                results.append(function())
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread as it is
                failures.append(error)
            finally:
                self._count(where, -1)

        if self._count(where, 1) > _INSIDE_LIMIT:
            self._count(where, -1)
            raise StorageDomainSilent(where=where, seconds=0)
        # A daemon: a thread that storage holds must not keep covirt-host from ending.
        thread = threading.Thread(target=carrying_flow(body), name=f"storage-call-{where}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._count(where, -1)
            raise StorageDomainUnusable(domain_id=where, reason="this host has no room for another thread") from error
        thread.join(seconds)
        if failures:
            with storage_failures(where):
                raise failures[0]
        if not results:
            raise StorageDomainSilent(where=where, seconds=seconds)
        return results[0]

    def _count(self, where: str, change: int) -> int:
        with self._lock:
            inside = self._inside.get(where, 0) + change
            if inside:
                self._inside[where] = inside
            else:  # paths are clients' words, of which there is no end
                del self._inside[where]
            return inside
