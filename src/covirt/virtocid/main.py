# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virtocid: arguments, configuration, the parts, "Ready", and an orderly end. Everything else is elsewhere."""

import argparse
import sys


def main() -> None:
    """The command. Imports wait until the arguments are known to be good, so that --help is quick."""
    arguments = _arguments()
    from covirt.virtocid.daemon import run_daemon, show_config

    sys.exit(
        show_config(arguments.root) if arguments.show_config else run_daemon(arguments.root, arguments.log_level)
    )


def _arguments() -> argparse.Namespace:
    from covirt import __version__

    parser = argparse.ArgumentParser(
        prog="virtocid",
        description="Serves containers as libvirt domains at oci:///system; stock virsh and libvirt clients work.",
    )
    parser.add_argument("--root", default="/", metavar="DIR", help="where state, sockets and configuration lie (/)")
    parser.add_argument(
        "--show-config", action="store_true", help="print the effective configuration as JSON and end"
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), help="more or less talk than configured"
    )
    parser.add_argument("--version", action="version", version=f"virtocid {__version__}")
    return parser.parse_args()
