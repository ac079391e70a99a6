# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One way to log: to stderr, a line a fact, "sentence key=value"."""

import logging
import os
import sys
from typing import Final

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(level: str = "info") -> None:
    """Send logging to stderr; under systemd the journal adds the time itself."""
    under_journal = "JOURNAL_STREAM" in os.environ
    prefix = "" if under_journal else "%(asctime)s "
    logging.basicConfig(
        stream=sys.stderr,
        level=_LEVELS[level],
        format=prefix + "%(levelname)-7s %(name)s [%(threadName)s] %(message)s",
        force=True,
    )
    # It tells every message of the kernel, ten lines a call: nothing of ours would be found among them.
    logging.getLogger("pyroute2").setLevel(max(_LEVELS[level], logging.INFO))
