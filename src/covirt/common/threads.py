# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A thread for one call, for what changes the calling thread for good: namespaces, a cgroup of its own."""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def call_in_thread(function: Callable[[], Result], *, name: str) -> Result:
    """Call ``function`` in a thread that ends with it; its result or exception is the caller's."""
    results: list[Result] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread as it is
            failures.append(error)

    thread = threading.Thread(target=body, name=name)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]
