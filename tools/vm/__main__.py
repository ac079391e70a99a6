# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``./dev vm``: boot Debian, install this checkout as a service, and run tests/vm inside, or give a shell."""

import argparse
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Final

from covirt.common.errors import Error
from covirt.common.process import Argument, run
from tools.vm.disk import REPOSITORY, SUITES, disk_of
from tools.vm.installation import documented
from tools.vm.machine import Machine, boot, cpu_count

_SOURCE: Final = "/root/covirt"
_INSTALL: Final = f"""set -e
/opt/covirt/bin/pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall {_SOURCE}/*.whl
cd {_SOURCE}
trap 'journalctl --no-pager -u virtocid >&2' ERR
{documented("service")}"""
_FACTS: Final = """. /etc/os-release
echo "$PRETTY_NAME, kernel $(uname -r), systemd $(systemctl --version | sed -n 's/^systemd \\([0-9]*\\).*/\\1/p'), \
$(stat -f -c %T /sys/fs/cgroup), LSM $(cat /sys/kernel/security/lsm)"
runc --version | head -n 1; crun --version | head -n 1; conmon --version | head -n 1"""
_PYTEST: Final = (
    "COVIRT_INSTALLED=1 COVIRT_CALL_SECONDS=600 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=. "
    "/opt/covirt/bin/python -m pytest -c /dev/null "
    "--rootdir=. --confcutdir=tests/vm --import-mode=importlib -p no:cacheprovider -p tests.vm.fixtures -ra"
)


def main() -> int:
    arguments, pytest_arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # which ends the machine, as Ctrl-C does
    try:
        disk = disk_of(arguments.suite)
        began = time.monotonic()
        with boot(disk, memory_mib=arguments.memory, cpus=cpu_count(), accelerator=arguments.accelerator) as machine:
            print(f"vm: {arguments.suite} booted in {time.monotonic() - began:.0f} s", flush=True)
            _install(machine)
            print(machine.call(_FACTS).stdout.decode().strip(), flush=True)
            if arguments.shell:
                return machine.show("cd covirt; exec bash -l", terminal=True)
            words = pytest_arguments or ["tests/vm"]
            return machine.show(f"cd {_SOURCE} && {_PYTEST} {shlex.join(words)}", terminal=sys.stdout.isatty())
    except Error as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="./dev vm", description=__doc__, epilog="The rest goes to pytest.")
    parser.add_argument("suite", nargs="?", choices=sorted(SUITES), default="bookworm")
    parser.add_argument("--shell", action="store_true", help="a shell in the machine instead of the tests")
    parser.add_argument("--memory", type=int, default=1536, metavar="MIB")
    # A /dev/kvm may be there and not fit for a stock kernel, so nothing but the user chooses it.
    parser.add_argument("--accelerator", default="tcg", help="QEMU's: tcg (emulated) or kvm")
    return parser.parse_known_args()


def _install(machine: Machine) -> None:
    """This checkout, as it is now."""
    wheels = machine.directory / "wheel"
    pip: list[Argument] = [REPOSITORY / ".venv/bin/pip", "wheel", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, REPOSITORY], timeout_seconds=300)
    files: list[tuple[Path, str]] = [(path, path.name) for path in wheels.glob("*.whl")]
    files += [(REPOSITORY / name, name) for name in ("packaging", "tests")]
    machine.send(files, _SOURCE)
    machine.call(_INSTALL)


if __name__ == "__main__":
    sys.exit(main())
