# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``./dev check``: every check at once, a line for each, and in full what the failed ones said."""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.process import run
from tools.checks import links, sources
from tools.checks.files import REPOSITORY, python_files, repository_files, shell_files
from tools.cli_page.page import PAGE as COMMANDS
from tools.configuration.page import ENGINE_PAGE as ENGINE_CONFIGURATION
from tools.configuration.page import HOST_PAGE as HOST_CONFIGURATION
from tools.configuration.page import PAGE as CONFIGURATION
from tools.conformance.page import PAGE as CONFORMANCE
from tools.host_api.page import PAGE as HOST_API
from tools.rest_api.page import PAGE as REST_API
from tools.vm_actions.page import PAGE as VM_ACTIONS
from tools.vm_verbs.page import PAGE as VM_VERBS

_TIMEOUT_SECONDS: Final = 300
_BIN: Final = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    seconds: float
    complaint: str  # empty: passed


def main() -> int:
    """Run all checks; the exit status tells whether all passed."""
    # The longest first, so that the others fill the second processor meanwhile.
    checks: dict[str, Callable[[], str]] = {
        "types (mypy)": lambda: _program("mypy"),
        "import layers (import-linter)": lambda: _program("lint-imports", "--no-cache"),
        "spelling (codespell)": lambda: _program("codespell"),
        "lint (ruff)": lambda: _program("ruff", "check", "--quiet", "--output-format=concise"),
        "format (ruff)": lambda: _program("ruff", "format", "--check", "--quiet"),
        "shell files (shellcheck)": lambda: _program("shellcheck", *map(str, shell_files())),
        "file length": lambda: "\n".join(sources.too_long(python_files())),
        "licence lines": lambda: "\n".join(sources.without_licence([*python_files(), *shell_files()])),
        **{
            f"docs/{page.name}": page.stale
            for page in (
                COMMANDS,
                CONFIGURATION,
                CONFORMANCE,
                ENGINE_CONFIGURATION,
                HOST_API,
                HOST_CONFIGURATION,
                REST_API,
                VM_ACTIONS,
                VM_VERBS,
            )
        },
        "links in documents": lambda: "\n".join(links.broken(REPOSITORY, repository_files())),
    }
    start = time.monotonic()
    with ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 1, thread_name_prefix="check") as pool:
        futures = [pool.submit(_timed, name, check) for name, check in checks.items()]
        results = [_report(future.result()) for future in futures]
    failed = [result.name for result in results if result.complaint]
    print(f"check: {', '.join(failed) or 'none'} failed, {time.monotonic() - start:.1f} s")
    return 1 if failed else 0


def _program(name: str, *arguments: str) -> str:
    beside = _BIN / name
    command = os.fspath(beside) if beside.exists() else name
    environment = {"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])}
    completed = run(
        [command, *arguments],
        timeout_seconds=_TIMEOUT_SECONDS,
        directory=REPOSITORY,
        environment=environment,
        check=False,
    )
    if completed.status == 0:
        return ""
    text = (completed.stdout + completed.stderr).decode(errors="replace").strip()
    return text or f"{name} ended with status {completed.status}"


def _timed(name: str, check: Callable[[], str]) -> Result:
    start = time.monotonic()
    complaint = check()
    return Result(name, time.monotonic() - start, complaint)


def _report(result: Result) -> Result:
    print(f"{'FAILED' if result.complaint else 'ok':6} {result.name} ({result.seconds:.1f} s)", flush=True)
    if result.complaint:
        print("  " + result.complaint.replace("\n", "\n  "), flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
