# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How every measurement is started: its arguments, a world of its own, and a report at the end."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.performance.figures import Report
from tests.support import launch, world


def main(name: str, parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], Report]) -> None:
    """Run ``measure`` in a world of its own and show its report. No figure ever makes it fail."""
    parser.prog = f"./dev bench {name}"
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single figure there as well")
    arguments = parser.parse_args()
    if world.VARIABLE not in os.environ:
        launch.main([sys.executable, "-m", f"tests.performance.{name}", *sys.argv[1:], *_reachable(arguments.json)])
    reason = world.missing_reason()
    if reason is not None:
        sys.exit(f"bench: it needs namespaces of its own, and there are none: {reason}")
    report = measure(arguments)
    report.show()
    if arguments.json is not None:
        arguments.json.write_text(report.json() + "\n")


def _reachable(path: Path | None) -> tuple[str, ...]:
    """The file as an open descriptor: a world has directories of its own at some of the usual places."""
    if path is None:
        return ()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.set_inheritable(descriptor, True)
    return ("--json", f"/proc/self/fd/{descriptor}")
