# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A client of libvirt-python that listens for events, see tests.support.libvirt_events."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from covirt.common.process import DEVNULL, PIPE, Child, spawn
from tests.support.virtocid import Virtocid


@dataclass
class Listener:
    """The client, in a process of its own because libvirt's event loop cannot be ended."""

    child: Child

    def line(self) -> str:
        """The next thing it heard; empty when it has ended."""
        return self.child.stdout.readline().decode().strip()

    def until(self, last: str) -> list[str]:
        """What was heard from here on up to this line."""
        lines = [self.line()]
        while lines[-1] != last:
            assert lines[-1], f"the client ended; it heard {lines}"
            lines.append(self.line())
        return lines


@contextmanager
def listening(
    virtocid: Virtocid, *, readonly: bool = False, agent: bool = False, secrets: bool = False
) -> Iterator[Listener]:
    """Registered at the daemon from here on; where asked, for the guest agent's coming and going and secrets too."""
    argv = [sys.executable, "-m", "tests.support.libvirt_events", virtocid.readonly_uri if readonly else virtocid.uri]
    argv += ["0", *(["agent"] if agent else []), *(["secrets"] if secrets else [])]
    with spawn(argv, stdin=PIPE, stdout=PIPE, stderr=DEVNULL) as child:
        listener = Listener(child)
        assert listener.line() == "ready"
        yield listener
