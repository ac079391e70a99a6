# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How ``virtocid-image import`` shows where it stands: a bar, plain lines, JSON lines, or nothing."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from covirt.common.units import readable_size
from covirt.oci.image.options import Progress, ProgressCallback, Step, no_progress

_INTERVAL_SECONDS: Final = 0.5
_WORDS: Final = {
    Step.RESOLVE: "looking the image up",
    Step.COPY: "copying",
    Step.UNPACK: "unpacking",
    Step.PACK: "packing",
    Step.PUBLISH: "putting in place",
    Step.DONE: "done",
}


@contextmanager
def shown(form: str) -> Iterator[ProgressCallback]:
    """A callback that shows progress as ``form`` says: auto, plain, json or none."""
    if form == "auto":
        form = "bar" if sys.stderr.isatty() else "plain"
    if form == "bar":
        with _bar() as callback:
            yield callback
    elif form == "json":
        yield _JsonLines()
    elif form == "plain":
        yield _PlainLines()
    else:
        yield no_progress


class _JsonLines:
    """{"step", "percent", "bytes", "total_bytes"}; null where nobody knows. The caller adds the line of "done"."""

    def __init__(self) -> None:
        self._last: tuple[Step, float] | None = None

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        full = progress.percent == 100.0
        same_step = self._last is not None and self._last[0] is progress.step
        if progress.step is Step.DONE or (
            same_step and self._last and now - self._last[1] < _INTERVAL_SECONDS and not full
        ):
            return
        self._last = (progress.step, now)
        percent = None if progress.percent is None else round(progress.percent, 1)
        line = {
            "step": progress.step,
            "percent": percent,
            "bytes": progress.done_bytes,
            "total_bytes": progress.total_bytes,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


class _PlainLines:
    """One line a step on stderr, so that it fits a log."""

    def __init__(self) -> None:
        self._step: Step | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.step is self._step or progress.step is Step.DONE:
            return
        self._step = progress.step
        size = f" {readable_size(progress.total_bytes)}" if progress.total_bytes else ""
        click.echo(f"{_WORDS[progress.step]}{size} ...", err=True)


@contextmanager
def _bar() -> Iterator[ProgressCallback]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(_WORDS[Step.RESOLVE], total=None)

        def callback(progress: Progress) -> None:
            bars.update(
                task,
                description=_WORDS[progress.step],
                completed=progress.done_bytes or 0,
                total=progress.total_bytes,
            )

        yield callback
