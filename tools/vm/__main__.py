# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``./dev vm``: boot Debian, install this checkout as a service, and run tests/vm inside, or give a shell."""

import argparse
import shlex
import signal
import sys
import time
from typing import Final

from covirt.common.errors import Error
from covirt.common.process import Argument, run
from tools.vm.disk import REPOSITORY, SUITES, disk_of
from tools.vm.installation import documented
from tools.vm.machine import Machine, boot, cpu_count

_SOURCE: Final = "/root/covirt"
_TRAP: Final = "trap 'journalctl --no-pager -u virtocid -u covirt-host >&2' ERR"
# By packages, where they can be made here for the machine's release.
_INSTALL_PACKAGES: Final = f"""set -e
{_TRAP}
cd {_SOURCE}/dist
export DEBIAN_FRONTEND=noninteractive
{documented("debian packages").replace("apt-get install", "apt-get install --yes --quiet=2")}
ln -sf /usr/bin/virtocid* /usr/bin/covirt-host /opt/covirt/bin/"""
_INSTALL: Final = f"""set -e
cd {_SOURCE}
/opt/covirt/bin/pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall dist/*.whl
{_TRAP}
{documented("service")}"""
_FACTS: Final = """. /etc/os-release
echo "$PRETTY_NAME, kernel $(uname -r), systemd $(systemctl --version | sed -n 's/^systemd \\([0-9]*\\).*/\\1/p'), \
$(stat -f -c %T /sys/fs/cgroup), LSM $(cat /sys/kernel/security/lsm)"
runc --version | head -n 1; crun --version | head -n 1; conmon --version | head -n 1"""
_PYTEST: Final = "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=.:src /opt/covirt/bin/python -m pytest -p no:cacheprovider -ra"
_INSTALLED: Final = (
    f"COVIRT_INSTALLED=1 COVIRT_CALL_SECONDS=600 {_PYTEST} "
    "-c /dev/null --rootdir=. --confcutdir=tests/vm --import-mode=importlib -p tests.vm.fixtures"
)
# Tests that skip where a kernel has no modules.
_KERNEL_TESTS: Final = "tests/integration/host/network/test_bonds_and_vlans.py"
# What tests/vm/test_host.py leaves for the time after a reboot.
_LEFT: Final = "/var/lib/covirt-engine.json"


def main() -> int:
    arguments, pytest_arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # which ends the machine, as Ctrl-C does
    try:
        disk = disk_of(arguments.suite)
        began = time.monotonic()
        with boot(disk, memory_mib=arguments.memory, cpus=cpu_count(), accelerator=arguments.accelerator) as machine:
            print(f"vm: {arguments.suite} booted in {time.monotonic() - began:.0f} s", flush=True)
            _install(machine, arguments.suite)
            print(machine.call(_FACTS).stdout.decode().strip(), flush=True)
            if arguments.shell:
                return machine.show("cd covirt; exec bash -l", terminal=True)
            return _test(machine, pytest_arguments)
    except Error as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="./dev vm", description=__doc__, epilog="The rest goes to pytest.")
    parser.add_argument("suite", nargs="?", choices=sorted(SUITES), default="bookworm")
    parser.add_argument("--shell", action="store_true", help="a shell in the machine instead of the tests")
    parser.add_argument("--memory", type=int, default=3072, metavar="MIB")
    # A /dev/kvm may be there and not fit for a stock kernel, so nothing but the user chooses it.
    parser.add_argument("--accelerator", default="tcg", help="QEMU's: tcg (emulated) or kvm")
    return parser.parse_known_args()


def _test(machine: Machine, pytest_arguments: list[str]) -> int:
    terminal = sys.stdout.isatty()
    words = shlex.join(pytest_arguments or ["tests/vm", "--ignore=tests/vm/rebooted"])
    status = machine.show(f"cd {_SOURCE} && {_INSTALLED} {words}", terminal=terminal)
    if not pytest_arguments:
        status = machine.show(f"cd {_SOURCE} && {_PYTEST} {_KERNEL_TESTS}", terminal=terminal) or status
    if machine.call(f"test -e {_LEFT}", check=False).status == 0:
        began = time.monotonic()
        machine.reboot()
        print(f"vm: rebooted in {time.monotonic() - began:.0f} s", flush=True)
        status = machine.show(f"cd {_SOURCE} && {_INSTALLED} tests/vm/rebooted", terminal=terminal) or status
    return status


def _install(machine: Machine, suite: str) -> None:
    """This checkout, as it is now."""
    packaged = SUITES[suite] == f"{sys.version_info.major}.{sys.version_info.minor}"
    dist = machine.directory / "dist"
    if packaged:
        run([REPOSITORY / "packaging/deb/build", dist], timeout_seconds=300)
    else:
        pip: list[Argument] = [REPOSITORY / ".venv/bin/pip", "wheel", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", dist, REPOSITORY], timeout_seconds=300)
    names = ("packaging", "src", "tests", "pyproject.toml")
    machine.send([(dist, "dist"), *((REPOSITORY / name, name) for name in names)], _SOURCE)
    machine.call(_INSTALL_PACKAGES if packaged else _INSTALL)


if __name__ == "__main__":
    sys.exit(main())
