# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every end has one cause, and every cause has its words on both wires."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.common.stop_cause import BadStopCause, StopCause, StopKind

WHEN = "2026-11-22T10:00:00Z"

causes = st.builds(
    StopCause,
    kind=st.sampled_from(StopKind),
    when=st.text(),
    exit_code=st.none() | st.integers(0, 255),
    signal=st.none() | st.integers(1, 64),
    message=st.text(),
    log_tail=st.lists(st.text()).map(tuple),
)


@given(causes)
def test_a_cause_survives_json(cause: StopCause) -> None:
    assert StopCause.from_json(json.loads(json.dumps(cause.as_json()))) == cause


@given(causes)
def test_every_cause_has_an_outcome_and_a_sentence(cause: StopCause) -> None:
    assert cause.outcome.state == 5  # shut off
    assert cause.outcome.exit_code in {0, 1}
    assert cause.describe()


@pytest.mark.parametrize(
    ("status", "oom", "kind", "signal"),
    [
        (0, False, StopKind.EXITED, None),
        (7, False, StopKind.EXITED, None),
        (128, False, StopKind.EXITED, None),
        (137, False, StopKind.SIGNALED, 9),
        (143, False, StopKind.SIGNALED, 15),
        (137, True, StopKind.OOM, 9),
        (255, False, StopKind.EXITED, None),
        # A child was killed for lack of memory, the container's own process ended as it liked.
        (0, True, StopKind.EXITED, None),
        (143, True, StopKind.SIGNALED, 15),
    ],
)
def test_an_exit_status_is_read(status: int, oom: bool, kind: StopKind, signal: int | None) -> None:
    cause = StopCause.of_exit(status, when=WHEN, oom=oom)
    assert (cause.kind, cause.signal, cause.exit_code) == (kind, signal, status)


@pytest.mark.parametrize(
    ("cause", "libvirt", "vdsm"),
    [
        # (shut-off reason, detail of STOPPED, detail of SHUTDOWN before it), (exitCode, exitReason)
        (StopCause(kind=StopKind.EXITED, when=WHEN, exit_code=0), (1, 0, 1), (0, 7)),
        (StopCause(kind=StopKind.EXITED, when=WHEN, exit_code=1), (3, 2, None), (1, 1)),
        (StopCause(kind=StopKind.SIGNALED, when=WHEN, exit_code=137, signal=9), (3, 2, None), (1, 1)),
        (StopCause(kind=StopKind.OOM, when=WHEN, exit_code=137, signal=9), (3, 2, None), (1, 1)),
        (StopCause(kind=StopKind.HEALTH, when=WHEN), (3, 2, None), (1, 1)),
        (StopCause(kind=StopKind.SHUTDOWN, when=WHEN, exit_code=143), (1, 0, 1), (0, 6)),
        (StopCause(kind=StopKind.DESTROY, when=WHEN), (2, 1, None), (0, 6)),
        (StopCause(kind=StopKind.HOST, when=WHEN), (8, 0, 2), (1, 11)),
        (StopCause(kind=StopKind.START_FAILED, when=WHEN), (6, 5, None), (1, 3)),
        (StopCause(kind=StopKind.SUPERVISOR_LOST, when=WHEN), (6, 5, None), (1, 2)),
    ],
    ids=lambda value: f"{value.kind}-{value.exit_code}" if isinstance(value, StopCause) else "",
)
def test_the_words_on_both_wires(
    cause: StopCause, libvirt: tuple[int, int, int | None], vdsm: tuple[int, int]
) -> None:
    outcome = cause.outcome
    assert (outcome.reason, outcome.stopped_detail, outcome.shutdown_detail) == libvirt
    assert (outcome.exit_code, outcome.exit_reason) == vdsm


def test_people_read_a_sentence() -> None:
    assert StopCause.of_exit(7, when=WHEN).describe() == "its process ended with exit code 7"
    assert StopCause.of_exit(143, when=WHEN).describe() == "its process was killed by SIGTERM"
    failed = StopCause(kind=StopKind.START_FAILED, when=WHEN, message="no such file")
    assert failed.describe() == "it could not be started: no such file"


@pytest.mark.parametrize("value", [{}, {"kind": "bored", "when": WHEN}, {"kind": "oom", "when": WHEN, "signal": "x"}])
def test_what_is_no_cause_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(BadStopCause):
        StopCause.from_json(value)
