# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tickets: each opens one stream, once, within a minute, to whoever has it.

A ticket is signed, so that what was not issued here is refused without a look; what it is for stays in memory, so
that it opens once, holds no secret of its own, and is worth nothing after a restart of the engine.
"""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import jwt
from jwt.types import Options

from covirt.engine.commands.asked import Asked
from covirt.engine.console.errors import BadTicket, TooManyStreamTickets
from covirt.engine.console.request import StreamRequest

VALID_SECONDS: Final = 60
MOST_TICKETS: Final = 1000
MOST_OF_ONE: Final = 100  # user: nobody takes all of them
_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "covirt-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a ticket is for, and who asked. ``session_id``: of the login that the stream ends with; None when there is
    none, as with Basic."""

    asked: Asked
    session_id: str | None
    vm_id: str
    request: StreamRequest


class StreamTickets:
    """Threads may share it."""

    def __init__(self, *, valid_seconds: float = VALID_SECONDS, clock: Callable[[], float] = time.time) -> None:
        self.valid_seconds = valid_seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[float, Granted]] = {}

    def issue(self, granted: Granted) -> str:
        """A secret, fit to be a part of a path. Raises TooManyStreamTickets."""
        now = self._clock()
        number = secrets.token_urlsafe(16)
        with self._lock:
            self._waiting = {key: one for key, one in self._waiting.items() if one[0] > now}
            own = sum(one.asked.user_id == granted.asked.user_id for _, one in self._waiting.values())
            if len(self._waiting) >= MOST_TICKETS or own >= MOST_OF_ONE:
                raise TooManyStreamTickets(count=len(self._waiting), own=own, seconds=int(self.valid_seconds))
            self._waiting[number] = (now + self.valid_seconds, granted)
        return jwt.encode({"jti": number, "aud": _AUDIENCE}, self._key, algorithm=_ALGORITHM)

    def take(self, ticket: str) -> Granted:
        """What it is for; from now on it is for nothing. Raises BadTicket."""
        if not ticket.isascii():
            raise BadTicket
        options: Options = {"require": ["jti", "aud"]}
        try:
            claims = jwt.decode(ticket, self._key, algorithms=[_ALGORITHM], audience=_AUDIENCE, options=options)
        except jwt.InvalidTokenError as error:
            raise BadTicket from error
        with self._lock:
            until, granted = self._waiting.pop(str(claims["jti"]), (0.0, None))
        if granted is None or until <= self._clock():
            raise BadTicket
        return granted
