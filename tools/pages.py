# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Pages of docs/ that are made out of the code: written by a command, and compared by tests and ``./dev check``."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"


class CannotTell(Exception):
    """The code does not say everything that the page is to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """``docs/<name>``, written by ``python -m <module>``. ``text`` makes all of it, and may raise CannotTell."""

    name: str
    module: str
    text: Callable[[], str]

    @property
    def path(self) -> Path:
        return DOCS / self.name

    def stale(self) -> str:
        """What is wrong with the page of this checkout; empty when it is true."""
        try:
            text = self.text()
        except CannotTell as error:
            return str(error)
        if self.path.exists() and self.path.read_text() == text:
            return ""
        return f"docs/{self.name} is not what the code says; run .venv/bin/python -m {self.module}"

    def main(self) -> int:
        """The command: write the page anew, or with ``--check`` only tell whether it is true."""
        parser = argparse.ArgumentParser(
            prog=f"python -m {self.module}", description=f"Write docs/{self.name} anew, out of the code."
        )
        parser.add_argument("--check", action="store_true", help="change nothing; fail when the page is not true")
        if parser.parse_args().check:
            complaint = self.stale()
            print(complaint, file=sys.stderr, end="\n" if complaint else "")
            return 1 if complaint else 0
        try:
            self.path.write_text(self.text())
        except CannotTell as error:
            print(error, file=sys.stderr)
            return 1
        return 0
