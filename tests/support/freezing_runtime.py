# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A runtime that stops in the middle: a script in front of the real one that waits where a test wants it to.

So a daemon can be killed at a known step of a start or a stop, without a hook in the daemon itself.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.programs import fake_program
from tests.support.waiting import wait_until

_SCRIPT: Final = """
directory=$(dirname "$0")
for word; do
    case $word in create | start | kill | delete | pause | resume | update) operation=$word && break ;; esac
done
stand() {
    [ -e "$directory/$1-$operation" ] || return 0
    : > "$directory/standing"
    while [ -e "$directory/$1-$operation" ]; do sleep 0.02; done
}
if [ -e "$directory/failing-$operation" ]; then
    cat "$directory/failing-$operation" >&2
    exit 1
fi
stand before
PROGRAM "$@"
status=$?
stand after
exit $status
"""


@dataclass(frozen=True, slots=True)
class FreezingRuntime:
    """Configured under the name ``freezing``; behaves like the real program until it is told to stand still."""

    directory: Path

    @property
    def configuration(self) -> str:
        return f'[runtimes.freezing]\npath = "{self.directory}/freezing"\n[runtimes.runc]\n'

    @contextmanager
    def standing_at(self, step: str) -> Iterator[None]:
        """From here on stand still at ``before create``, ``after kill``, …; go on afterwards."""
        mark = self.directory / step.replace(" ", "-")
        (self.directory / "standing").unlink(missing_ok=True)
        mark.touch()
        try:
            yield
        finally:
            mark.unlink()

    @contextmanager
    def failing_at(self, operation: str, complaint: str) -> Iterator[None]:
        """From here on this operation fails with these words; works again afterwards."""
        mark = self.directory / f"failing-{operation}"
        mark.write_text(f"{complaint}\n")
        try:
            yield
        finally:
            mark.unlink()

    def wait_until_it_stands(self) -> None:
        wait_until((self.directory / "standing").exists, timeout_seconds=60, what="the step")

    def wait_until_it_ended(self) -> None:
        """Until no call of it is under way, also none that a killed daemon left."""
        wait_until(lambda: not self._calls(), timeout_seconds=60, what="an end of the runtime's calls")

    def kill(self) -> None:
        """End what a killed daemon left standing."""
        for pid in self._calls():
            os.kill(pid, signal.SIGKILL)
        self.wait_until_it_ended()

    def _calls(self) -> list[int]:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and self._is_call(int(name))]

    def _is_call(self, pid: int) -> bool:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return words[:2] == [b"/bin/sh", os.fsencode(self.directory / "freezing")]


def freezing_runtime(directory: Path, *, program: str = "runc") -> FreezingRuntime:
    """Write the script into ``directory``."""
    fake_program(directory, "freezing", _SCRIPT.replace("PROGRAM", program))
    return FreezingRuntime(directory)
