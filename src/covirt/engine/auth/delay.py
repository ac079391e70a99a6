# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who fails to log in again and again has to wait longer and longer, by user and by address.

Kept in the database, so a restart forgives nothing. A user's own delay stays short: somebody who fails with the
administrator's name on purpose must not keep the administrator out.
"""

import ipaddress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from covirt.common.listening import usual_address
from covirt.engine.auth.errors import TooManyFailures
from covirt.engine.model.login import LoginFailures
from covirt.engine.store.session import Session

_KEEP: Final = 10_000
_LONGEST_NAME: Final = 255
_NETWORK_BITS: Final = 64  # of IPv6 one client has that many addresses to choose from


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """After ``free`` failures in a row the wait begins with a second and doubles with each, up to ``longest``."""

    free: int
    longest_seconds: float

    def wait_seconds(self, count: int) -> float:
        if count < self.free:
            return 0.0
        return min(2.0 ** min(count - self.free, 30), self.longest_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    of_user: Patience = Patience(free=5, longest_seconds=30.0)
    of_address: Patience = Patience(free=10, longest_seconds=900.0)
    forget_after: timedelta = timedelta(hours=1)

    def check(self, session: Session, *, user: str, address: str, now: datetime) -> bool:
        """Whether the next try has to be claimed first. Raises TooManyFailures while it is too early for one."""
        return bool(self._checked(session, user, address, now))

    def claim(self, session: Session, *, user: str, address: str, now: datetime) -> None:
        """Take the next try, so that of many at the same moment one gets through. Raises TooManyFailures."""
        for failures in self._checked(session, user, address, now):
            session.accounts.set_failures(replace(failures, last=now))

    def _checked(self, session: Session, user: str, address: str, now: datetime) -> list[LoginFailures]:
        """Those that make wait, if it is not too early."""
        patience = self._patience(user, address)
        waits: list[tuple[float, LoginFailures]] = []
        for about, failures in session.accounts.failures(patience).items():
            seconds = patience[about].wait_seconds(failures.count)
            if seconds and now - failures.last < self.forget_after:
                waits.append((seconds - (now - failures.last).total_seconds(), failures))
        left = max((seconds for seconds, _ in waits), default=0.0)
        if left > 0:
            raise TooManyFailures(seconds=ceil(left))
        return [failures for _, failures in waits]

    def failed(self, session: Session, *, user: str, address: str, now: datetime) -> None:
        """One more."""
        abouts = self._patience(user, address)
        known = session.accounts.failures(abouts)
        for about in abouts:
            before = known.get(about)
            count = before.count if before and now - before.last < self.forget_after else 0
            session.accounts.set_failures(LoginFailures(about=about, count=count + 1, last=now))
        session.accounts.trim_failures(older_than=now - self.forget_after, keep=_KEEP)

    def succeeded(self, session: Session, *, user: str, address: str) -> None:
        """All is forgotten: both were used by somebody who knows the password."""
        session.accounts.forget_failures(self._patience(user, address))

    def _patience(self, user: str, address: str) -> dict[str, Patience]:
        name = user[:_LONGEST_NAME].replace("\0", "?")  # PostgreSQL's texts have no zero byte
        return {f"user {name}": self.of_user, f"address {_network(address)}": self.of_address}


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(usual_address(address))
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.ip_network((parsed, _NETWORK_BITS), strict=False))
