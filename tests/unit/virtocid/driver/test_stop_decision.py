# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why a run ended, from what a user had asked for and what the monitor left."""

import pytest

from covirt.common.stop_cause import StopKind
from covirt.oci.monitor import RunEnd
from covirt.virtocid.driver.ending import decide
from covirt.virtocid.driver.store import UserRequest

KILLED, TERMINATED = 128 + 9, 128 + 15
ENDS_BY_FORCE = (UserRequest.DESTROY, UserRequest.RESET)
ENDS_BY_ITSELF = (UserRequest.SHUTDOWN, UserRequest.REBOOT)


def kind(request: UserRequest | None, status: int | None, *, oom: bool = False, mark: bool = False) -> StopKind:
    end = RunEnd(status=status, oom_mark=mark, container_alive=False)
    return decide(request, end, oom=oom, tail=()).kind


@pytest.mark.parametrize(
    ("status", "oom", "expected"),
    [
        (0, False, StopKind.EXITED),
        (3, False, StopKind.EXITED),
        (TERMINATED, False, StopKind.SIGNALED),
        (KILLED, False, StopKind.SIGNALED),
        (KILLED, True, StopKind.OOM),
        (0, True, StopKind.EXITED),  # a child was killed, and the container lived on
        (None, False, StopKind.SUPERVISOR_LOST),
    ],
)
def test_nobody_asked(status: int | None, oom: bool, expected: StopKind) -> None:
    assert kind(None, status, oom=oom) is expected


@pytest.mark.parametrize("request_", ENDS_BY_FORCE)
@pytest.mark.parametrize("status", [KILLED, 0, None])
def test_a_destroy_is_one_however_it_went(request_: UserRequest, status: int | None) -> None:
    assert kind(request_, status) is StopKind.DESTROY


@pytest.mark.parametrize("request_", ENDS_BY_ITSELF)
@pytest.mark.parametrize("status", [0, 1, TERMINATED])
def test_a_shutdown_is_one_whatever_the_exit_code(request_: UserRequest, status: int) -> None:
    assert kind(request_, status) is StopKind.SHUTDOWN


def test_a_graceful_destroy_is_a_destroy() -> None:
    assert kind(UserRequest.DESTROY_GRACEFULLY, 0) is StopKind.DESTROY


@pytest.mark.parametrize(("status", "oom"), [(KILLED, False), (KILLED, True), (0, False), (None, False)])
def test_the_end_of_an_unhealthy_container_is_one_however_it_went(status: int | None, oom: bool) -> None:
    assert kind(UserRequest.HEALTH, status, oom=oom) is StopKind.HEALTH


@pytest.mark.parametrize("request_", ENDS_BY_ITSELF)
def test_a_death_at_the_memory_limit_is_told_even_during_a_shutdown(request_: UserRequest) -> None:
    assert kind(request_, KILLED, oom=True) is StopKind.OOM


@pytest.mark.parametrize("request_", ENDS_BY_ITSELF)
def test_a_lost_monitor_is_told_even_during_a_shutdown(request_: UserRequest) -> None:
    assert kind(request_, None) is StopKind.SUPERVISOR_LOST


def test_facts_are_kept_with_the_cause() -> None:
    end = RunEnd(status=7, oom_mark=False, container_alive=False)
    cause = decide(UserRequest.SHUTDOWN, end, oom=False, tail=("last", "words"))
    assert cause.exit_code == 7
    assert cause.log_tail == ("last", "words")
    assert cause.when.endswith("+00:00")
