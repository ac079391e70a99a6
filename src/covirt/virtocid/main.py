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
    from covirt.common.daemon_arguments import daemon_parser

    return daemon_parser(
        "virtocid",
        description="Serves containers as libvirt domains at oci:///system; stock virsh and libvirt clients work.",
    ).parse_args()
