# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""<covirt:health>: how it is found out whether a container does what it is there for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LOOPBACK: Final = "127.0.0.1"


class OnUnhealthy(StrEnum):
    """What follows when a container becomes unhealthy, beside being told."""

    NOTHING = "nothing"
    STOP = "stop"  # it is ended, and its restart policy decides as for any failure
    RESTART = "restart"  # it is ended and starts again, also where the policy alone would not


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCheck:
    """A program inside the container, run as its own process is; exit code 0 is a success.

    ``in_shell``: the one argument is a line for the container's /bin/sh.
    """

    arguments: tuple[str, ...]
    in_shell: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """What is run."""
        return ("/bin/sh", "-c", *self.arguments) if self.in_shell else self.arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """A GET from inside the container's network; an answer with a status from ``status`` is a success."""

    port: int
    path: str = "/"
    host: str = "localhost"  # of the request's Host line
    address: str = LOOPBACK
    status: tuple[int, int] = (200, 399)  # both included


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpCheck:
    """A connection from inside the container's network."""

    port: int
    address: str = LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCheck:
    """The image's own check is not wanted."""


Check = CommandCheck | HttpCheck | TcpCheck | NoCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """What is None is as in the image, else a default (health_plan.py). ``check`` None: the image's own."""

    check: Check | None = None
    interval_seconds: float | None = None
    timeout_seconds: float | None = None
    start_period_seconds: float | None = None
    start_interval_seconds: float | None = None
    retries: int | None = None
    on_unhealthy: OnUnhealthy = OnUnhealthy.NOTHING
