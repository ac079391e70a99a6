# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What one client may take of the image proxy."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from covirt.engine.web.transfer_proxy import FewOfOne, flowing


def test_one_ticket_does_not_take_the_place_of_others() -> None:
    asyncio.run(_one_and_another())


async def _one_and_another() -> None:
    go_on = asyncio.Event()
    statuses: list[int] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    few = FewOfOne(slow, most=2)

    def asked(ticket: str) -> "asyncio.Task[None]":
        scope: dict[str, Any] = {"type": "http", "path_params": {"ticket": ticket}}
        return asyncio.create_task(few(scope, receive, send))

    waiting = [asked("mine"), asked("mine"), asked("yours")]
    await asyncio.sleep(0)
    await asked("mine")
    assert statuses == [429]
    go_on.set()
    await asyncio.gather(*waiting)
    await asked("mine")
    assert statuses == [429, 200, 200, 200, 200]


def test_a_client_that_sends_nothing_is_not_waited_for() -> None:
    heard: list[bytes] = []

    async def read() -> None:
        async for part in flowing(_stalled(), seconds=0.05):
            heard.append(part)

    with pytest.raises(TimeoutError):
        asyncio.run(read())
    assert heard == [b"a", b"b"]


async def _stalled() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"b"
    await asyncio.Event().wait()
