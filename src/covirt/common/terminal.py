# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""This program's own terminal, while another one is shown on it."""

import contextlib
import termios
import tty
from collections.abc import Iterator


@contextlib.contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """Each key goes on as it is; afterwards all is as it was."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
