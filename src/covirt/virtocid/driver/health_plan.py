# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is checked how often, from the XML and the image's HEALTHCHECK, and what the results add up to. Pure.

The rules are Docker's (its Dockerfile reference, HEALTHCHECK): a success makes a container healthy; so many failures
in a row, not counted while it starts, make it unhealthy.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

from covirt.common.errors import InvalidRequest
from covirt.virtocid.driver.domain_xml.model_health import (
    Check,
    CommandCheck,
    HealthSettings,
    HttpCheck,
    NoCheck,
    OnUnhealthy,
    TcpCheck,
)
from covirt.virtocid.driver.domain_xml.parse_health import LONGEST_SECONDS, MOST_RETRIES, SHORTEST_SECONDS

log = logging.getLogger(__name__)

_INTERVAL_SECONDS: Final = 30.0
_TIMEOUT_SECONDS: Final = 30.0
_START_INTERVAL_SECONDS: Final = 5.0
_RETRIES: Final = 3
# Each check of an image's command starts a program: an image's maker may not keep somebody's host busy with them.
_SHORTEST_OF_AN_IMAGE_SECONDS: Final = 1.0
_LONGEST_COMMAND: Final = 16_384  # characters: it is kept with every run
_NANOSECONDS: Final = 1e9
_CHECKS: Final[Mapping[str, type[Any]]] = {"command": CommandCheck, "http": HttpCheck, "tcp": TcpCheck}


class BadHealthRecord(InvalidRequest):
    template = "this is no record of a health check: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPlan:
    """Everything that a run's check needs to know, fixed at its start."""

    check: Check
    interval_seconds: float = _INTERVAL_SECONDS
    timeout_seconds: float = _TIMEOUT_SECONDS
    start_period_seconds: float = 0.0
    start_interval_seconds: float = _START_INTERVAL_SECONDS
    retries: int = _RETRIES
    on_unhealthy: OnUnhealthy = OnUnhealthy.NOTHING

    @property
    def kind(self) -> str:
        """``command``, ``http`` or ``tcp``."""
        return next(name for name, kind in _CHECKS.items() if isinstance(self.check, kind))

    def pause_seconds(self, *, age_seconds: float, starting: bool) -> float:
        """From one check, or from the start, to the next check."""
        quick = starting and age_seconds < self.start_period_seconds
        return min(self.start_interval_seconds, self.interval_seconds) if quick else self.interval_seconds

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "kind": self.kind}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Reads what as_json() gave. Raises BadHealthRecord."""
        try:
            facts = {name: value[name] for name in cls.__slots__ if name != "check"}
            check = {name: tuple(item) if isinstance(item, list) else item for name, item in value["check"].items()}
            facts["on_unhealthy"] = OnUnhealthy(facts["on_unhealthy"])
            return cls(check=_CHECKS[value["kind"]](**check), **facts)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BadHealthRecord(reason=repr(error)) from error


def plan_of(settings: HealthSettings | None, image: Mapping[str, Any] | None) -> HealthPlan | None:
    """The XML's words over the image's; None when nothing is to be checked. ``image``: its Healthcheck object.

    What an image says that cannot be meant is left out, and logged: its maker is nobody whom this host trusts.
    """
    wanted = settings or HealthSettings()
    if isinstance(wanted.check, NoCheck):
        return None
    own = _image_settings(image) if image else HealthSettings()
    check = wanted.check or own.check
    if check is None:
        return None
    plan = HealthPlan(check=check, on_unhealthy=wanted.on_unhealthy)
    names = ("interval_seconds", "timeout_seconds", "start_period_seconds", "start_interval_seconds", "retries")
    if wanted.check is not None:
        own = HealthSettings()  # the image's times are for the image's check
    values = {name: getattr(own, name) if getattr(wanted, name) is None else getattr(wanted, name) for name in names}
    return replace(plan, **{name: value for name, value in values.items() if value is not None})


def _image_settings(image: Mapping[str, Any]) -> HealthSettings:
    return HealthSettings(
        check=_image_check(image.get("Test")),
        interval_seconds=_image_seconds(image.get("Interval"), _SHORTEST_OF_AN_IMAGE_SECONDS),
        timeout_seconds=_image_seconds(image.get("Timeout"), SHORTEST_SECONDS),
        start_period_seconds=_image_seconds(image.get("StartPeriod"), 0.0),
        start_interval_seconds=_image_seconds(image.get("StartInterval"), _SHORTEST_OF_AN_IMAGE_SECONDS),
        retries=_image_retries(image.get("Retries")),
    )


def _image_check(test: object) -> CommandCheck | None:
    """Docker's Test: ["NONE"], ["CMD", argument, …] or ["CMD-SHELL", line]; empty is as absent."""
    if not isinstance(test, list) or not all(isinstance(word, str) and "\0" not in word for word in test):
        words: list[str] = []
    else:
        words = test
    match words:
        case ["CMD", program, *_] if program and sum(map(len, words)) <= _LONGEST_COMMAND:
            return CommandCheck(arguments=tuple(words[1:]))
        case ["CMD-SHELL", line] if line.strip() and len(line) <= _LONGEST_COMMAND:
            return CommandCheck(arguments=(line,), in_shell=True)
    if test and words != ["NONE"]:
        log.warning("The image's HEALTHCHECK is no command, so it is left out")
    return None


def _image_seconds(value: object, shortest: float) -> float | None:
    """Nanoseconds; 0 is as absent."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return None
    return min(max(value / _NANOSECONDS, shortest), LONGEST_SECONDS)


def _image_retries(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return None
    return min(value, MOST_RETRIES)


class HealthStatus(StrEnum):
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found. ``output``: the last of what was said, a few lines at most."""

    healthy: bool
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthState:
    """How a run does. ``streak``: failures in a row; ``since``: when the status became so, UTC, ISO 8601."""

    run_number: int
    kind: str
    since: str
    status: HealthStatus = HealthStatus.STARTING
    streak: int = 0
    output: str = ""  # of the last check: like a line of the container's log, it may hold a secret

    def after(self, result: CheckResult, plan: HealthPlan, *, age_seconds: float, now: Callable[[], str]) -> Self:
        """The state after one more check of a run that is so old."""
        status = self.status
        if result.healthy:
            status, streak = HealthStatus.HEALTHY, 0
        elif status is HealthStatus.STARTING and age_seconds < plan.start_period_seconds:
            streak = 0
        else:
            streak = self.streak + 1
            if streak >= plan.retries:
                status = HealthStatus.UNHEALTHY
        since = self.since if status is self.status else now()
        return replace(self, status=status, streak=streak, since=since, output=result.output)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Reads what as_json() gave. Raises BadHealthRecord."""
        try:
            return cls(
                run_number=int(value["run_number"]),
                kind=str(value["kind"]),
                since=str(value["since"]),
                status=HealthStatus(value["status"]),
                streak=int(value["streak"]),
                output=str(value["output"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise BadHealthRecord(reason=repr(error)) from error
