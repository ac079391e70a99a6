# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the command lines of all daemons have in common."""

import argparse

from covirt import __version__


def daemon_parser(program: str, *, description: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """With --root, --show-config, --log-level and --version; a daemon adds its own."""
    parser = argparse.ArgumentParser(prog=program, description=description, epilog=epilog)
    parser.add_argument("--root", default="/", metavar="DIR", help="where state, sockets and configuration lie (/)")
    parser.add_argument(
        "--show-config", action="store_true", help="print the effective configuration as JSON and end"
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), help="more or less talk than configured"
    )
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    return parser
