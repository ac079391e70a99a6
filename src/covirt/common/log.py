# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One way to log: to stderr, a line a fact, "sentence key=value"; what belongs to a flow carries its id.

A flow is what a client calls its doing, through all programs that take part (oVirt's correlation id).
"""

import contextvars
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, ParamSpec, TypeVar

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_LONGEST_LINE: Final = 8192  # of a message; a traceback is not counted

_flow: contextvars.ContextVar[str] = contextvars.ContextVar("flow", default="")

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@contextmanager
def in_flow(flow_id: str) -> Iterator[None]:
    """Every line that this thread logs in the block carries the id."""
    token = _flow.set(flow_id)
    try:
        yield
    finally:
        _flow.reset(token)


def current_flow() -> str:
    """The flow that this thread works for; empty for none."""
    return _flow.get()


def carrying_flow(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The same function, for another thread: what it logs there belongs to the flow of here and now."""
    flow_id = _flow.get()

    def carried(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with in_flow(flow_id):
            return function(*args, **kwargs)

    return carried


def _add_flow(record: logging.LogRecord) -> bool:
    flow_id = _flow.get()
    record.flow = f" flow={flow_id}" if flow_id else ""
    return True


class _Lines(logging.Formatter):
    """Nobody's words make a second line, or a very long one: a fact that a peer invents would look like ours."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's
        text = super().formatMessage(record)
        if len(text) > _LONGEST_LINE:
            text = f"{text[:_LONGEST_LINE]}… ({len(text)} characters)"
        return text if text.isprintable() else "".join(map(_printable, text))


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def check_level(text: str) -> None:
    """What ``log_level`` may be in a configuration; raises ValueError with the reason in words."""
    if text not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}, and is {text!r}")


def configure(level: str = "info") -> None:
    """Send logging to stderr; under systemd the journal adds the time itself."""
    under_journal = "JOURNAL_STREAM" in os.environ
    prefix = "" if under_journal else "%(asctime)s "
    logging.basicConfig(
        stream=sys.stderr,
        level=LEVELS[level],
        force=True,
    )
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Lines(prefix + "%(levelname)-7s %(name)s [%(threadName)s]%(flow)s %(message)s"))
        handler.addFilter(_add_flow)
    # It tells every message of the kernel, ten lines a call: nothing of ours would be found among them.
    logging.getLogger("pyroute2").setLevel(max(LEVELS[level], logging.INFO))
