# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting, and web pages as the proof that somebody is there."""

import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException

from tools.demo.errors import TooLate


def wait_for(condition: Callable[[], bool], *, seconds: float, what: str, every_seconds: float = 0.05) -> None:
    """Raises TooLate."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TooLate(what=what, seconds=seconds)
        time.sleep(every_seconds)


def wait_for_page(address: str, path: str = "/", *, seconds: float = 60.0) -> str:
    """The text of a web page, as soon as it comes. Raises TooLate."""
    pages: list[str] = []

    def answers() -> bool:
        page = _page(address, path)
        pages.extend([page] if page else [])
        return bool(pages)

    wait_for(answers, seconds=seconds, what=f"an answer of http://{address}{path}")
    return pages[0]


def _page(address: str, path: str) -> str | None:
    connection = HTTPConnection(address, timeout=2.0)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.read().decode().strip() if response.status == 200 else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
