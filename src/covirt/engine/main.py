# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt-engine: arguments; everything else is elsewhere."""

import argparse
import sys


def main() -> None:
    """The command. Imports wait until the arguments are known to be good, so that --help is quick."""
    arguments = _arguments()
    from covirt.engine.daemon import run_daemon, show_config

    sys.exit(
        show_config(arguments.root) if arguments.show_config else run_daemon(arguments.root, arguments.log_level)
    )


def _arguments() -> argparse.Namespace:
    from covirt import __version__

    parser = argparse.ArgumentParser(
        prog="covirt-engine",
        description="Manages hosts, virtual machines and containers; serves oVirt's REST API over HTTPS.",
        epilog="It serves until it is told to end. The first password of admin@internal is in "
        "etc/covirt/admin-password below the root.",
    )
    parser.add_argument("--root", default="/", metavar="DIR", help="where state and configuration lie (/)")
    parser.add_argument(
        "--show-config", action="store_true", help="print the effective configuration as JSON and end"
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), help="more or less talk than configured"
    )
    parser.add_argument("--version", action="version", version=f"covirt-engine {__version__}")
    return parser.parse_args()
