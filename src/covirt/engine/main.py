# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt-engine: arguments; everything else is elsewhere."""

import argparse
import sys


def main() -> None:
    """The command. Imports wait until the arguments are known to be good, so that --help is quick."""
    arguments = _arguments()
    from covirt.engine.daemon import prepare, renew_secret_key, run_daemon, show_config

    if arguments.show_config:
        sys.exit(show_config(arguments.root))
    if arguments.new_secret_key:
        sys.exit(renew_secret_key(arguments.root, arguments.log_level))
    sys.exit((prepare if arguments.prepare else run_daemon)(arguments.root, arguments.log_level))


def _arguments() -> argparse.Namespace:
    from covirt.common.daemon_arguments import daemon_parser

    parser = daemon_parser(
        "covirt-engine",
        description="Manages hosts, virtual machines and containers; serves oVirt's REST API over HTTPS.",
        epilog="It serves until it is told to end. The first password of admin@internal is in "
        "etc/covirt/admin-password below the root.",
    )
    parser.add_argument(
        "--prepare", action="store_true", help="make the database, the authority and the first user, and end"
    )
    parser.add_argument("--new-secret-key", action="store_true", help="seal all secrets with a new key, and end")
    return parser.parse_args()
