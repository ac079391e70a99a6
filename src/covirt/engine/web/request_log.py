# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One line for each request: what was asked, by whom, and how it went; never the query, which may hold a password."""

import logging
import re
import time
from typing import Final
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covirt.engine.metrics import EngineMetrics

log = logging.getLogger(__name__)

_LONGEST_PATH: Final = 300
# A ticket is part of a path, and counts until it is used.
_SECRET_PART: Final = re.compile(r"^(/covirt/streams/).*", re.DOTALL)


class RequestLog:
    """Outermost of all. The application says who asked in the scope's ``covirt.user``, and which flow a request
    belongs to in its answer's Correlation-Id."""

    def __init__(self, app: ASGIApp, metrics: EngineMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status, flow = 500, ""

        async def watched(message: Message) -> None:
            nonlocal status, flow
            if message["type"] == "http.response.start":
                status = message["status"]
                flow = _header(message, b"correlation-id")
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._tell(scope, status, flow, time.monotonic() - began)

    def _tell(self, scope: Scope, status: int, flow: str, seconds: float) -> None:
        method, path = scope["method"], _SECRET_PART.sub(r"\1TICKET", scope["path"])
        self._metrics.answered(method=method, path=path, status=status, seconds=seconds)
        log.info(
            "%s %s status=%d ms=%.1f user=%s address=%s flow=%s",
            quote(method[:20]),
            quote(path[:_LONGEST_PATH], safe="/;=,:@"),
            status,
            seconds * 1000,
            scope.get("covirt.user", "-"),
            scope["client"][0] if scope.get("client") else "-",
            flow or "-",
        )


def _header(message: Message, name: bytes) -> str:
    for key, value in message.get("headers", ()):
        if key.lower() == name:
            return str(value.decode("latin-1"))
    return ""
