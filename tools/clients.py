# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Minimal root directories with the libvirt clients of other Debian releases, for the tests of the client matrix.

Made by mmdebstrap from the mirror that this machine's apt uses, before the tests enter networks of their own; kept in
``.setup/clients``. A release that the mirror no longer has leaves a note with the reason there, and its tests skip.

    python -m tools.clients          make those that are missing
"""

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Final

from covirt.common.errors import Error
from covirt.common.process import run

REPOSITORY: Final = Path(__file__).parent.parent
RELEASES: Final = ("bullseye", "bookworm", "trixie")  # Debian 11, 12, 13: libvirt 7.0, 9.0, 11.3
_PACKAGES: Final = "libvirt-clients,python3-libvirt,libc-bin"
_SECONDS: Final = 600


def client_root(release: str) -> Path:
    """Where the root of a release is or would be. Beside it, with ".reason", may stand why it is not."""
    version = hashlib.sha256(f"{release} {_PACKAGES} {Path(__file__).read_text()}".encode()).hexdigest()[:12]
    return REPOSITORY / ".setup/clients" / f"{release}-{version}"


def reason_file(release: str) -> Path:
    root = client_root(release)
    return root.with_name(f"{root.name}.reason")


def make(release: str) -> None:
    """Make the root unless it is there. Raises CommandFailed, CommandMissing, CommandTimeout."""
    target = client_root(release)
    if target.exists():
        return
    print(f"clients: making a root with the libvirt clients of {release}", flush=True)
    building = target.with_name(f"{target.name}.new")
    shutil.rmtree(building, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    options = ["--quiet", "--mode=root", "--variant=extract", "--format=directory", f"--include={_PACKAGES}"]
    # Without its packages being configured, a root of a newer release lacks the links /bin, /lib and /lib64.
    hooks = ["--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"]
    source = f"deb {_mirror()} {release} main"
    run(["mmdebstrap", *options, *hooks, release, building, source], timeout_seconds=_SECONDS)
    building.rename(target)
    reason_file(release).unlink(missing_ok=True)


def _mirror() -> str:
    """The address that this machine's apt has for its release itself, not for updates of it. Raises Error."""
    listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)"], timeout_seconds=60)
    addresses = [line.split() for line in listed.stdout.decode().splitlines()]
    address = next((words[0] for words in addresses if len(words) == 2 and "-" not in words[1]), None)
    if address is None:
        raise Error(message="apt has no mirror of a release on this machine")
    return address


def main() -> int:
    for release in RELEASES:
        try:
            make(release)
        except Error as error:
            print(f"clients: no root for {release}: {error}", file=sys.stderr)
            reason_file(release).write_text(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
