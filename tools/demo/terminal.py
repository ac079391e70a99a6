# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows: steps with their time, commands with their output, and one table."""

import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ovirtsdk4
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from covirt.common.errors import Error
from tools.demo.errors import StepFailed
from tools.demo.needs import last_lines

_REASON_LIMIT: Final = 400  # characters


@dataclass(slots=True)
class Step:
    """A step that is running; its words may become more precise until it ends."""

    words: str
    start: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start


class Show:
    """Writes to standard output: a spinner and colours on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._after_gap = False

    def title(self, text: str, note: str = "") -> None:
        self._gap()
        self._line(f"[bold]{escape(text)}[/bold]")
        if note:
            self._line(f"[dim]{escape(note)}[/dim]")
        self._gap()

    @contextmanager
    def step(self, words: str, *, log: Path | None = None) -> Iterator[Step]:
        """Show what is happening, then how long it took. A failure becomes StepFailed with the end of ``log``."""
        step = Step(words, time.monotonic())
        try:
            if self._console.is_terminal:
                with self._console.status(f"{escape(words)} …", spinner_style="bold"):
                    yield step
            else:
                yield step
        except (Error, OSError, AssertionError, ovirtsdk4.Error) as error:
            reason = textwrap.shorten(str(error) or type(error).__name__, _REASON_LIMIT, placeholder=" …")
            raise StepFailed(step=words, reason=reason, log=last_lines(log)) from error
        self._line(f"[dim]{step.seconds:6.2f} s[/dim]  {escape(step.words)}")

    def command(self, words: Sequence[str], output: str) -> None:
        """A command as one types it, and what it said."""
        self._gap()
        self._line(f"  [bold]$ {escape(' '.join(words))}[/bold]")
        for line in output.strip("\n").splitlines():
            self._line(f"  {escape(line.rstrip())}")
        self._gap()

    def table(self, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
        table = Table()
        table.add_column("")
        for column in columns:
            table.add_column(column, overflow="fold")
        for name, values in rows.items():
            table.add_row(name, *map(escape, values))
        self._console.print(table, soft_wrap=False)
        self._after_gap = False
        self._gap()

    def _line(self, markup: str) -> None:
        self._console.print(markup)
        self._after_gap = False

    def _gap(self) -> None:
        """One blank line, never two."""
        if not self._after_gap:
            self._console.print()
            self._after_gap = True
