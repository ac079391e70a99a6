# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Kill the daemon at a step of what a client asked for."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from covirt.common.process import DEVNULL, spawn
from tests.support.freezing_runtime import FreezingRuntime
from tests.support.traces import traces_of_runs
from tests.support.virtocid import SECONDS, Virtocid
from tests.support.waiting import wait_until


@contextmanager
def killed_during(virtocid: Virtocid, runtime: FreezingRuntime, step: str, *words: str) -> Iterator[None]:
    """Give virsh a command, kill the daemon at this step; in the block the step still stands."""
    with runtime.standing_at(step):
        with spawn(["virsh", "-q", "-c", virtocid.uri, *words], stderr=DEVNULL) as client:
            runtime.wait_until_it_stands()
            virtocid.kill()
            client.wait(timeout_seconds=SECONDS)
        yield


def nothing_is_left(virtocid: Virtocid) -> None:
    with suppress(AssertionError):
        wait_until(lambda: not traces_of_runs(virtocid.root))
    assert traces_of_runs(virtocid.root) == []
