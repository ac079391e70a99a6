# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who is logged in, and who has failed to."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSession:
    """What an access token stands for. ``id`` is the token's SHA-256 in hex: the token itself is kept nowhere."""

    id: str
    user_id: str
    scope: str
    address: str
    created: datetime
    last_used: datetime
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFailures:
    """How often in a row it went wrong for ``about``: "user NAME" or "address ADDRESS"."""

    about: str
    count: int
    last: datetime
