# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt-host: arguments; everything else is elsewhere."""

import argparse
import sys


def main() -> None:
    """The command. Imports wait until the arguments are known to be good, so that --help is quick."""
    arguments = _arguments()
    if arguments.command == "enrol":
        from covirt.host.commands import run_enrol

        status = run_enrol(
            arguments.root,
            engine=arguments.engine,
            token=arguments.token,
            token_file=arguments.token_file,
            name=arguments.name,
        )
    elif arguments.command == "check":
        from covirt.host.commands import run_check

        status = run_check(arguments.root)
    elif arguments.command == "end-transfers":
        from covirt.host.commands import run_end_transfers

        status = run_end_transfers(arguments.root)
    else:
        from covirt.host.daemon import run_daemon, show_config

        status = (
            show_config(arguments.root) if arguments.show_config else run_daemon(arguments.root, arguments.log_level)
        )
    sys.exit(status)


def _arguments() -> argparse.Namespace:
    from covirt.common.daemon_arguments import daemon_parser

    parser = daemon_parser(
        "covirt-host",
        description="Runs virtual machines and containers for an engine, with Vdsm's verbs; stock vdsm-client works.",
        epilog="Without a command it serves until it is told to end.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    enrol = commands.add_parser("enrol", help="get a certificate from an engine, with a token made there")
    enrol.add_argument("--engine", required=True, metavar="URL", help="as in https://engine.example.com")
    token = enrol.add_mutually_exclusive_group()
    token.add_argument("--token", metavar="T", help="the token; other users of this machine may see it meanwhile")
    token.add_argument("--token-file", metavar="FILE", help="the file it is in; without both, and with -, it is read")
    enrol.add_argument("--name", help="how the engine reaches this host (its full name)")
    commands.add_parser("check", help="tell what this machine has and lacks, and what mends it")
    commands.add_parser("end-transfers", help="end what moves disks and goes on after the stopped agent")
    arguments = parser.parse_args()
    if arguments.command is not None and (arguments.show_config or arguments.log_level):
        parser.error(f"--show-config and --log-level are for serving; leave them out before {arguments.command}")
    return arguments
