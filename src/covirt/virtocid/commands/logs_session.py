# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virtocid-logs' work: a log channel copied to standard output."""

import select
import signal
from pathlib import Path
from typing import Final

from covirt.common.channels import LOG_CHANNEL, LogChannelRequest
from covirt.common.errors import Error
from covirt.common.output import OutputGone, discard_output, write_all
from covirt.virtocid.client import ClientStream
from covirt.virtocid.commands.connect import OWN_FAILURE, DaemonGone, complain, connect, open_channel

_STDOUT: Final = 1


def show_log(program: str, root: Path, domain: str, request: LogChannelRequest) -> int:
    """Print the lines; the exit status. What goes wrong is said on stderr."""
    try:
        with connect(root) as client:
            _copy(open_channel(client, domain, LOG_CHANNEL), request)
    except OutputGone:
        discard_output()
        return 128 + signal.SIGPIPE
    except Error as error:
        complain(program, error)
        return OWN_FAILURE
    return 0


def _copy(stream: ClientStream, request: LogChannelRequest) -> None:
    try:
        stream.write(request.encode())
        while not stream.ended:
            poller = select.poll()
            poller.register(stream.fileno(), select.POLLIN | (select.POLLOUT if stream.unsent_bytes else 0))
            poller.poll()
            stream.flush()
            write_all(_STDOUT, stream.read())
    except (EOFError, ConnectionError) as error:
        raise DaemonGone() from error
