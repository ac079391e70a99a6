# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How commands end: one sentence on stderr, and a status that tells a script what it means (docs/cli.md)."""

import os
import sys
from enum import IntEnum

import click

from covirt.common.errors import Conflict, Denied, Error, InvalidRequest, NotFound, Unavailable, Unsupported


class Exit(IntEnum):
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    INTERRUPTED = 130  # as of one that SIGINT has ended


_MEANINGS: tuple[tuple[type[Error], Exit], ...] = (
    (NotFound, Exit.NOT_FOUND),
    (Denied, Exit.DENIED),
    (Conflict, Exit.CONFLICT),
    (Unsupported, Exit.CONFLICT),
    (InvalidRequest, Exit.USAGE),
    (Unavailable, Exit.UNAVAILABLE),
)


def status_of(error: Error) -> Exit:
    return next((status for kind, status in _MEANINGS if isinstance(error, kind)), Exit.FAILED)


def sentence_of(error: Error) -> str:
    """The engine's own words, where it has said no: who asked knows what for."""
    from covirt.client.errors import EngineRefused

    return str(error.fields["reason"]) if isinstance(error, EngineRefused) else str(error)


def told(error: BaseException) -> click.exceptions.Exit:
    """For a command's edge: says what went wrong, and how to end. What is a bug is raised again."""
    if isinstance(error, Error):
        sys.stderr.write(f"covirt: {sentence_of(error)}\n")
        return click.exceptions.Exit(status_of(error))
    if isinstance(error, KeyboardInterrupt):
        sys.stderr.write("\n")
        return click.exceptions.Exit(Exit.INTERRUPTED)
    if isinstance(error, BrokenPipeError):  # as of head: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return click.exceptions.Exit(Exit.FAILED)
    raise error
