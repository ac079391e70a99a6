# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: a program on a pseudo terminal, what it shows, and what is typed."""

import os
import pty
import select
import signal
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from covirt.common.process import Argument, Child, spawn

_SECONDS: Final = 60.0


@dataclass
class Terminal:
    """The controlling end, and everything seen so far."""

    controller: int
    line: int
    child: Child
    seen: bytes = field(default=b"")

    def type(self, text: str) -> None:
        os.write(self.controller, text.encode())

    def wait_for(self, text: str) -> None:
        """Read until the program has shown this since the last wait."""
        self._read(lambda: text.encode() in self.seen, text)
        self.seen = self.seen.partition(text.encode())[2]

    def text_until(self, text: str) -> str:
        """What it shows before this."""
        self._read(lambda: text.encode() in self.seen, text)
        before, _, self.seen = self.seen.partition(text.encode())
        return before.decode(errors="replace")

    def wait_until_raw(self) -> None:
        """Programs throw away what was typed before they took over the terminal."""
        self._read(lambda: not termios.tcgetattr(self.line)[3] & termios.ICANON, "a raw terminal")

    def wait_for_end(self) -> int:
        """The exit status; what the program still shows is read meanwhile."""
        self._read(lambda: self.child.poll() is not None, "the end of the program")
        return self.child.wait(timeout_seconds=_SECONDS)

    def _read(self, enough: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _SECONDS
        while not enough():
            assert time.monotonic() < deadline, f"{what!r} did not come; seen: {self.seen!r}"
            if select.select([self.controller], [], [], 0.02)[0]:
                self.seen += os.read(self.controller, 65536)


@contextmanager
def at_terminal(argv: Sequence[Argument], *, environment: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """Run a program on a new terminal; ends it afterwards."""
    controller, line = pty.openpty()
    try:
        with spawn(argv, environment=environment, stdin=line, stdout=line, stderr=line, own_session=True) as child:
            try:
                yield Terminal(controller, line, child)
            finally:
                child.signal(signal.SIGKILL)
    finally:
        os.close(controller)
        os.close(line)
