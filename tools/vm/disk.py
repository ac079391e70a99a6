# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The machine's disk: Debian from its archive, and a virtual environment with what covirt needs; no covirt yet.

Built once for a suite and a set of packages; every machine runs on a throw-away layer above it.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.process import Argument, run
from tools.vm.installation import packages

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SUITES: Final[Mapping[str, str]] = {"bookworm": "3.11", "trixie": "3.13"}  # Debian 12 and 13, and their Python
_DEBIAN_PACKAGES: Final = (
    "linux-image-cloud-amd64 initramfs-tools zstd systemd-sysv systemd-resolved dbus udev kmod",
    "procps apparmor openssh-server iputils-ping python3-libvirt busybox-static",
    "systemd-timesyncd dnsmasq-base nfs-kernel-server openssl",  # what tests look at or need
    *packages("packages"),
    *packages("host packages"),
)
_PYTHON_PACKAGES: Final = (
    "click lxml prometheus-client pyroute2 rich markdown-it-py mdurl pygments",  # covirt's own, and what they need
    "cryptography cffi pycparser psutil pydantic pydantic-core annotated-types typing-extensions typing-inspection",
    "pytest iniconfig packaging pluggy pytest-timeout pytest-xdist execnet hypothesis sortedcontainers",  # the tests'
    "stomp-py docopt-ng websocket-client trustme idna",
)
_SIZE: Final = "6G"  # sparse
_BUILD_SECONDS: Final = 1800.0

# Files of the machine, and their modes where they are not 0644.
_FILES: Final[Mapping[str, str]] = {
    "etc/hostname": "covirt-vm\n",
    "etc/hosts": "127.0.0.1 localhost covirt-vm\n",
    "etc/fstab": "LABEL=root / ext4 defaults,noatime 0 1\n",
    "etc/systemd/network/80-ethernet.network": "[Match]\nName=en* eth0\n[Network]\nDHCP=ipv4\n",
    "etc/ssh/sshd_config.d/covirt.conf": "UseDNS no\nPermitRootLogin prohibit-password\n",
}
# Emulated, every service counts: none of these has work to do in a machine that lives for minutes.
_MASKED: Final = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service",
    "fstrim.timer man-db.timer systemd-networkd-wait-online.service getty@tty1.service serial-getty@ttyS0.service",
    "systemd-firstboot.service systemd-pstore.service modprobe@drm.service",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What a machine boots from; ``key`` is the private key that lets one in."""

    directory: Path

    @property
    def image(self) -> Path:
        return self.directory / "disk.raw"

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd"

    @property
    def key(self) -> Path:
        return self.directory / "key"


def disk_of(suite: str) -> Disk:
    """The disk of this suite; builds it, with a word to the user, unless it is there."""
    place = REPOSITORY / ".setup/vm" / f"{suite}-{_version(suite)}"
    disk = Disk(directory=place)
    if not place.exists():
        print(f"vm: building the disk of {suite}, which takes some minutes the first time", flush=True)
        building = place.with_name(f"{place.name}.new")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        _build(suite, Disk(directory=building))
        building.rename(place)
    return disk


def _version(suite: str) -> str:
    """Of everything that goes into the disk."""
    text = "\n".join((suite, *_DEBIAN_PACKAGES, *_MASKED, *_requirements(), Path(__file__).read_text()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _build(suite: str, disk: Disk) -> None:
    work = disk.directory
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", disk.key], timeout_seconds=60)
    early, late, root = work / "early", work / "late", work / "root"
    _write_tree(early, {"etc/initramfs-tools/conf.d/modules": "MODULES=list\n",
                        "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n"})  # fmt: skip
    _write_tree(late, {**_FILES, "root/.ssh/authorized_keys": disk.key.with_suffix(".pub").read_text()})
    _download_wheels(suite, late / "opt/wheels")
    _make_root(suite, early, late, root)
    for name, place in (("vmlinuz-*", disk.kernel), ("initrd.img-*", disk.initrd)):
        shutil.copy(next((root / "boot").glob(name)), place)
    run(["truncate", "-s", _SIZE, disk.image], timeout_seconds=60)
    run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", root, disk.image], timeout_seconds=_BUILD_SECONDS)
    for tree in (early, late, root):
        shutil.rmtree(tree)


def _make_root(suite: str, early: Path, late: Path, root: Path) -> None:
    venv = "/opt/covirt"
    masked = " ".join(f"/etc/systemd/system/{unit}" for line in _MASKED for unit in line.split())
    hooks = [
        f"--setup-hook=copy-in {early}/etc /",
        f"--customize-hook=copy-in {late}/etc {late}/root {late}/opt /",
        f'--customize-hook=chroot "$1" python3 -m venv --system-site-packages {venv}',
        f'--customize-hook=chroot "$1" sh -c "{venv}/bin/pip install --quiet --no-index --no-deps /opt/wheels/*.whl"',
        f'--customize-hook=chroot "$1" sh -c "for unit in {masked}; do ln -sf /dev/null \\$unit; done"',
        '--customize-hook=chroot "$1" systemctl --quiet enable systemd-networkd ssh',
    ]
    packages = ",".join(" ".join(_DEBIAN_PACKAGES).split())
    argv = ["mmdebstrap", "--quiet", "--mode=root", "--variant=apt", "--format=directory", *hooks]
    run([*argv, f"--include={packages}", suite, root], timeout_seconds=_BUILD_SECONDS)


def _download_wheels(suite: str, target: Path) -> None:
    requirements = target.parent / "requirements.txt"
    target.mkdir(parents=True)
    requirements.write_text("\n".join(_requirements()))
    pip: list[Argument] = [REPOSITORY / ".venv/bin/pip", "download", "--quiet", "--disable-pip-version-check"]
    which = ["--no-deps", "--require-hashes", "--only-binary=:all:", f"--python-version={SUITES[suite]}"]
    run([*pip, *which, "--dest", target, "--requirement", requirements], timeout_seconds=_BUILD_SECONDS)


def _requirements() -> Iterator[str]:
    """The pinned and hashed lines of requirements.lock for the packages that go in."""
    lock = (REPOSITORY / "requirements.lock").read_text()
    for name in " ".join(_PYTHON_PACKAGES).split():
        found = re.search(rf"^{re.escape(name)}==(?:.*\\\n)+.*$", lock, re.MULTILINE)
        if found is None:
            raise LookupError(f"requirements.lock has no {name}; is it still needed by tools/vm?")
        yield found[0]


def _write_tree(directory: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    secret = directory / "root"
    if secret.exists():
        for path in (secret, secret / ".ssh"):
            path.chmod(0o700)
