# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Writing to our own outputs, whatever somebody made of them."""

import os
import select

from covirt.common.errors import Unavailable


class OutputGone(Unavailable):
    template = "nobody reads the output any more"


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, waiting as long as it takes. Raises OutputGone."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody who shares it made it so
            poller = select.poll()
            poller.register(descriptor, select.POLLOUT)
            poller.poll()
        except OSError as error:  # a closed pipe, or a terminal that was hung up
            raise OutputGone() from error


def discard_output() -> None:
    """So that the interpreter's last flush does not complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
