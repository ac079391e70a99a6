# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the command lines of all daemons have in common."""

import argparse
import os

from covirt import __version__
from covirt.common.log import LEVELS


def daemon_parser(program: str, *, description: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """With --root, --show-config, --log-level and --version; a daemon adds its own."""
    parser = argparse.ArgumentParser(prog=program, description=description, epilog=epilog)
    parser.add_argument(
        "--root",
        default="/",
        type=_directory,
        metavar="DIR",
        help="where state, sockets and configuration lie (/); it is there already",
    )
    parser.add_argument(
        "--show-config", action="store_true", help="print the effective configuration as JSON and end"
    )
    parser.add_argument("--log-level", choices=tuple(LEVELS), help="more or less talk than configured")
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    return parser


def _directory(text: str) -> str:
    """A mistyped root would be an installation of its own, without anything that is in the right one."""
    try:
        os.close(os.open(text, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise argparse.ArgumentTypeError(
            f"{text!r}: {reason}; make this directory first, or name the one you mean"
        ) from error
    return text
