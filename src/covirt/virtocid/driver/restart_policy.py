# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a run that ended is followed by another one, and when: decided by the structured cause, nothing else. Pure.

Times are seconds of CLOCK_BOOTTIME: nobody sets that clock, and the next daemon of this boot reads the same one.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from covirt.common.errors import InvalidRequest
from covirt.common.stop_cause import StopCause, StopKind
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.domain_xml.model_health import OnUnhealthy
from covirt.virtocid.driver.domain_xml.model_restart import RestartPolicy, RestartSettings

_FAILURES: Final = frozenset(
    {StopKind.SIGNALED, StopKind.OOM, StopKind.HEALTH, StopKind.START_FAILED, StopKind.SUPERVISOR_LOST}
)
_OF_THE_UNHEALTHY: Final = frozenset({StopKind.HEALTH, StopKind.START_FAILED})  # and of the start that follows
_MOST_DOUBLINGS: Final = 40  # beyond every ceiling, and far from what a float cannot hold


class BadRestartState(InvalidRequest):
    template = "this is not a recorded restart: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartState:
    """How a domain stands with its policy. ``count``: restarts in a row, none of which led to a good run.

    ``due_seconds``: it is shut off and starts again then. ``gave_up``: it failed as often as the policy allows.
    """

    count: int = 0
    due_seconds: float | None = None
    gave_up: bool = False
    boot_id: str = ""  # the boot it is true for: another one counts anew

    def as_json(self) -> dict[str, Any] | None:
        """None for a domain that has nothing to remember."""
        return None if self == RestartState() else asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Reads what as_json() gave. Raises BadRestartState."""
        try:
            due = value.get("due_seconds")
            return cls(
                count=int(value["count"]),
                due_seconds=None if due is None else float(due),
                gave_up=bool(value.get("gave_up")),
                boot_id=str(value.get("boot_id", "")),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BadRestartState(reason=repr(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartRule:
    """What a definition says, in our words or in libvirt's."""

    on_success: bool  # it ended by itself with exit code 0
    on_failure: bool
    on_unhealthy: bool
    settings: RestartSettings

    def wants(self, cause: StopCause) -> bool:
        """Whether a run with this end is to be followed by another one."""
        if cause.kind is StopKind.EXITED:
            return self.on_success if cause.exit_code == 0 else self.on_failure
        if self.on_unhealthy and cause.kind in _OF_THE_UNHEALTHY:
            return True
        return self.on_failure and cause.kind in _FAILURES

    def after(self, cause: StopCause, *, count: int, ran_seconds: float, now_seconds: float) -> RestartState:
        """What follows an end, ``count`` restarts after the last good run."""
        if not self.wants(cause):
            return RestartState()
        if ran_seconds >= self.settings.reset_after_seconds:
            count = 0
        if self.settings.attempts is not None and count >= self.settings.attempts:
            return RestartState(count=count, gave_up=True)
        return RestartState(count=count + 1, due_seconds=now_seconds + self.delay_seconds(count))

    def delay_seconds(self, count: int) -> float:
        """How long to wait after ``count`` restarts in a row."""
        delay = self.settings.delay_seconds * 2.0 ** min(count, _MOST_DOUBLINGS)
        return min(self.settings.max_delay_seconds, delay)


def rule_of(config: DomainConfig) -> RestartRule:
    """<covirt:restart>, else <on_poweroff> and <on_crash>, whose ``restart`` is libvirt's word for it."""
    settings, health = config.settings.restart, config.settings.health
    on_unhealthy = health is not None and health.on_unhealthy is OnUnhealthy.RESTART
    if settings is None:
        return RestartRule(
            on_success=config.on_poweroff == "restart",
            on_failure=config.on_crash == "restart",
            on_unhealthy=on_unhealthy,
            settings=RestartSettings(),
        )
    return RestartRule(
        on_success=settings.policy is RestartPolicy.ALWAYS,
        on_failure=settings.policy is not RestartPolicy.NEVER,
        on_unhealthy=on_unhealthy,
        settings=settings,
    )
