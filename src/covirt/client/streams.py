# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Streams of machines: a ticket by the API, then a WebSocket (docs/engine-consoles.md)."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake

from covirt.client.engine import EngineApi
from covirt.client.errors import EngineSilent

_SECONDS: Final = 30.0
_LONGEST_MESSAGE: Final = 4 << 20


def ask_for_stream(api: EngineApi, vm_id: str, request: Mapping[str, Any]) -> str:
    """Its WebSocket's URL, which is good once and for a minute. Raises what the engine refuses with."""
    path = api.post(f"/covirt/vms/{vm_id}/streams", request)["path"]
    return f"wss{api.url.removeprefix('https')}{path}"


@asynccontextmanager
async def open_stream(api: EngineApi, url: str) -> AsyncIterator[ClientConnection]:
    """Raises EngineSilent."""
    context = ssl.create_default_context(cafile=str(api.ca_file) if api.ca_file else None)
    try:
        socket = await connect(
            url, ssl=context, compression=None, max_size=_LONGEST_MESSAGE, open_timeout=_SECONDS, proxy=None
        )
    except (OSError, InvalidHandshake, TimeoutError) as error:
        raise EngineSilent(url=api.url, reason=str(error) or "it does not open the stream") from error
    async with socket:
        yield socket
