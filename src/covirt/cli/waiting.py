# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for the engine: for jobs with a bar that shows how far they are, and for machines."""

import contextlib
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from covirt.cli.errors import JobFailed, TookTooLong
from covirt.client.errors import NoSuchThing
from covirt.client.record import Record
from covirt.client.resources import DISKS, JOBS, TEMPLATES, VMS, Resources
from covirt.client.resources import Collection as Below

if TYPE_CHECKING:
    from rich.progress import Progress

_LOOK_SECONDS: Final = 0.3
_GOES_ON: Final = "started"  # of jobs and steps
_PROGRESS: Final = "progress"
WAIT_SECONDS: Final = 3600.0
STARTED: Final = ("up", "powering_up", "paused")  # of machines


def wait_for_answer(resources: Resources, answer: Record, what: str) -> None:
    """Of an action or a creation that goes on as a job. Raises JobFailed."""
    job_id = answer.text("job.id") or answer.text("job_id")
    if job_id and answer.text("status") in ("pending", "in_progress", ""):
        wait_for_job(resources, job_id, what)


def wait_for_job(resources: Resources, job_id: str, what: str) -> Record:
    """With a bar, where somebody looks. Raises JobFailed, TookTooLong."""
    until = time.monotonic() + WAIT_SECONDS
    with bar(what) as show:
        while (job := resources.get(JOBS, job_id)).text("status") == _GOES_ON:
            if time.monotonic() > until:
                raise TookTooLong(what=what, seconds=WAIT_SECONDS, hint=f"covirt job show {job_id}")
            show(_percent(resources, job_id))
            time.sleep(_LOOK_SECONDS)
    if job.text("status") != "finished":
        raise JobFailed(what=what, reason=_why(resources))
    return job


@contextmanager
def bar(what: str) -> Iterator[Callable[[int], None]]:
    """Is given percents, 0 for not known; on stderr, where a terminal is."""
    if not sys.stderr.isatty():
        yield lambda _percent: None
        return
    with _progress() as progress:
        task = progress.add_task(what, total=None)
        yield lambda percent: progress.update(task, total=100 if percent else None, completed=percent)


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _percent(resources: Resources, job_id: str) -> int:
    steps = resources.list(Below(path=f"jobs/{job_id}/steps", element="step", noun="step"))
    return max((each.whole(_PROGRESS) for each in steps if each.text("status") == _GOES_ON), default=0)


def _why(resources: Resources) -> str:
    """The engine's words."""
    bad = [each for each in resources.own_events() if each.text("severity") in ("error", "warning", "alert")]
    return bad[0].text("description") if bad else "covirt event list tells more"


def wait_for_disk(resources: Resources, disk_id: str) -> None:
    """Until it is there: a large one with all of its blocks takes a while. Raises JobFailed, TookTooLong."""
    _wait_unlocked(resources, DISKS, disk_id, locked="locked", good="ok", what="disk")


def wait_for_template(resources: Resources, template_id: str) -> None:
    """Until its disks are copied. Raises JobFailed, TookTooLong."""
    _wait_unlocked(resources, TEMPLATES, template_id, locked="locked", good="ok", what="template")


def wait_for_new_vm(resources: Resources, vm_id: str) -> None:
    """Until its template's disks are copied. Raises JobFailed, TookTooLong."""
    _wait_unlocked(resources, VMS, vm_id, locked="image_locked", good="down", what="machine")


def wait_for_snapshot(resources: Resources, snapshots: Below, snapshot_id: str) -> None:
    """Until it is made. Raises JobFailed, TookTooLong."""
    field = "snapshot_status"
    _wait_unlocked(resources, snapshots, snapshot_id, locked="locked", good="ok", what="snapshot", field=field)


def wait_for_removal(resources: Resources, snapshots: Below, snapshot_id: str) -> None:
    """Until it is merged, and gone. Raises JobFailed, TookTooLong."""
    until = time.monotonic() + WAIT_SECONDS
    with contextlib.suppress(NoSuchThing), bar("removing a snapshot"):
        while resources.get(snapshots, snapshot_id).text("snapshot_status") == "locked":
            if time.monotonic() > until:
                raise TookTooLong(what="removing a snapshot", seconds=WAIT_SECONDS, hint="it is locked still")
            time.sleep(_LOOK_SECONDS)
        raise JobFailed(what="removing a snapshot", reason=_why(resources))


def _wait_unlocked(
    resources: Resources,
    collection: Below,
    object_id: str,
    *,
    locked: str,
    good: str,
    what: str,
    field: str = "status",
) -> None:
    until = time.monotonic() + WAIT_SECONDS
    with bar(f"making a {what}"):
        try:
            while (made := resources.get(collection, object_id)).text(field) == locked:
                if time.monotonic() > until:
                    hint = f"it is {locked} still"
                    raise TookTooLong(what=f"making {what} {made.name}", seconds=WAIT_SECONDS, hint=hint)
                time.sleep(_LOOK_SECONDS)
        except NoSuchThing as error:
            raise JobFailed(what=f"making the {what}", reason=_why(resources)) from error
    if made.text(field) != good:
        raise JobFailed(what=f"making {what} {made.name}", reason=_why(resources))


def wait_for_vm(
    resources: Resources, vm_id: str, wanted: Collection[str], *, seconds: float = WAIT_SECONDS
) -> Record:
    """As it is once it has one of these statuses. Raises TookTooLong."""
    until = time.monotonic() + seconds
    while (vm := resources.get(VMS, vm_id)).text("status") not in wanted:
        if time.monotonic() > until:
            hint = f"it is {vm.text('status')} now"
            raise TookTooLong(what=f"{vm.name} to be {' or '.join(sorted(wanted))}", seconds=seconds, hint=hint)
        time.sleep(_LOOK_SECONDS)
    return vm
