# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a measurement found: series of figures, verdicts on targets, and the report that shows them."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Series:
    """Figures of one kind, in the order in which they were measured; times are in milliseconds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def best(self) -> float:
        return min(self.values)

    @property
    def worst(self) -> float:
        return max(self.values)

    @property
    def cells(self) -> tuple[str, str, str]:
        """Median, best and worst, for a table."""
        return f"{self.median:.1f}", f"{self.best:.1f}", f"{self.worst:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One target: it is met when the value is at most the limit."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        word = "met" if self.met else "not met"
        return f"{self.what}: {self.value:.2f}{self.unit}, at most {self.limit:g}{self.unit} wanted: {word}"


@dataclass(kw_only=True)
class Report:
    """One measurement's outcome, for people and, with every single figure, as JSON."""

    name: str
    title: str
    columns: Sequence[str]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Sequence[float]] = field(default_factory=dict)
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])

    def add(self, what: str, series: Series) -> None:
        """A row of median, best and worst, and the figures behind it."""
        self.rows.append((what, *series.cells))
        self.figures[what] = series.values

    def show(self) -> None:
        table = Table(title=self.title, title_justify="left")
        table.add_column(self.columns[0])
        for column in self.columns[1:]:
            table.add_column(column, justify="right")
        for row in self.rows:
            table.add_row(*row)
        console = Console(highlight=False)
        console.print(table)
        for verdict in self.verdicts:
            console.print(str(verdict), style="green" if verdict.met else "yellow", soft_wrap=True)
        for note in (*self.notes, self._conditions()):
            console.print(note, soft_wrap=True)

    def _conditions(self) -> str:
        return (
            f"{os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}; "
            f"load average {self.load_before:.1f} before and {os.getloadavg()[0]:.1f} after"
        )

    def json(self) -> str:
        return json.dumps(
            {
                "bench": self.name,
                "conditions": self._conditions(),
                "figures": {name: list(values) for name, values in self.figures.items()},
                "verdicts": [
                    {"what": each.what, "value": each.value, "limit": each.limit, "met": each.met}
                    for each in self.verdicts
                ],
                "notes": self.notes,
            },
            indent=1,
        )
