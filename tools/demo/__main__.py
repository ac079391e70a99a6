# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The command: ``./dev demo [--keep]``, ``./dev demo enter [COMMAND…]``, ``./dev demo stop``."""

import argparse
import io
import sys

import ovirtsdk4

from covirt.common.errors import Error
from tools.demo import kept
from tools.demo.errors import AlreadyKept, StepFailed
from tools.demo.guests import CONTAINER, GUEST
from tools.demo.namespaces import Namespaces
from tools.demo.needs import check_machine
from tools.demo.stage import ROOT
from tools.demo.story import tell_story
from tools.demo.terminal import Show

_INTERRUPTED = 130

_KEPT_TEXT = f"""Both go on. To play with them:

  ./dev demo enter covirt status --root {ROOT}     (the engine's URL, user and password file)
  ./dev demo enter virsh -c oci:///system list
  ./dev demo enter virsh -c qemu:///system list
  ./dev demo enter virsh -c oci:///system console {CONTAINER}      (a shell in the container; Ctrl-] leaves)
  ./dev demo enter virsh -c qemu:///system console {GUEST}   (a shell in the virtual machine)
  ./dev demo enter virsh -c oci:///system dumpxml {CONTAINER}
  ./dev demo enter virsh -c oci:///system event --all --loop
  ./dev demo enter                                    (a shell beside the daemons)
  ./dev demo stop                                     (end it and remove everything)
"""


def main() -> int:
    """The exit status."""
    arguments = _arguments()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without UTF-8 gets question marks, and no traceback
        sys.stdout.reconfigure(errors="replace")
    try:
        check_machine()
        if arguments.action == "enter":
            kept.enter(arguments.command or ["bash"])
        elif arguments.action == "stop":
            kept.stop()
            print("demo: ended, and everything of it removed")
        else:
            return _play(keep=arguments.keep)
    except Error as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev demo", description="Run a container and a virtual machine side by side, managed by one engine."
    )
    parser.add_argument("--keep", action="store_true", help="leave both running, and tell what to try")
    actions = parser.add_subparsers(dest="action", metavar="enter|stop")
    enter = actions.add_parser("enter", help="run a command (or a shell) where a kept demo runs")
    enter.add_argument("command", nargs=argparse.REMAINDER)
    actions.add_parser("stop", help="end a kept demo")
    return parser.parse_args()


def _play(*, keep: bool) -> int:
    if keep and kept.find() is not None:
        raise AlreadyKept
    show = Show()
    namespaces = Namespaces()
    status = 1
    try:
        status = namespaces.run(lambda: _tell(show, keep=keep), keep=keep)
        if status == 0 and keep:
            print(_KEPT_TEXT, end="")
            return 0
    finally:
        if not (status == 0 and keep):
            with show.step("everything removed: processes, mounts, network, cgroups, files"):
                namespaces.remove()
    return status


def _tell(show: Show, *, keep: bool) -> int:
    """Inside the namespaces."""
    try:
        tell_story(show, keep=keep)
    except StepFailed as error:
        print(f"demo: {error}", file=sys.stderr)
        if error.log:
            print("its log ends with:", *str(error.log).splitlines(), sep="\n  ", file=sys.stderr)
        return 1
    except (Error, ovirtsdk4.Error) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
