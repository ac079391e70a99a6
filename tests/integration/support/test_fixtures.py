# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The fixtures give real things."""

from pathlib import Path

import pytest

from covirt.common.errors import CommandFailed
from covirt.common.process import run
from covirt.common.root import Root
from tests.support.network import LinuxBridge
from tests.support.registry import Registry


def test_every_directory_above_a_root_can_be_passed(root_dir: Root, open_dir: Path, disk_dir: Path) -> None:
    for path in (root_dir.path, open_dir, disk_dir):
        assert all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


def test_umoci_unpacks_the_busybox_image_and_its_shell_runs(busybox_layout: Path, open_dir: Path) -> None:
    run(["umoci", "unpack", "--image", f"{busybox_layout}:busybox", open_dir / "bundle"], timeout_seconds=60)
    shown = run(["chroot", open_dir / "bundle/rootfs", "/bin/sh", "-c", "id -un"], timeout_seconds=10)
    assert shown.stdout == b"root\n"


def test_the_registry_takes_and_gives_an_image(registry: Registry, busybox_layout: Path, open_dir: Path) -> None:
    reference = registry.push(busybox_layout, "busybox", "some/busybox:1")
    pull = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false"]
    run([*pull, reference, f"oci:{open_dir}/copy:1"], timeout_seconds=60)
    assert (open_dir / "copy/index.json").exists()


def test_the_secure_registry_wants_the_password(
    secure_registry: Registry, busybox_layout: Path, tmp_path: Path
) -> None:
    reference = secure_registry.push(busybox_layout, "busybox", "busybox:1")
    good = secure_registry.write_authfile(tmp_path / "good")
    bad = secure_registry.write_authfile(tmp_path / "bad", password="no")  # noqa: S106
    inspect = ["skopeo", "--insecure-policy", "inspect", "--cert-dir", str(secure_registry.cert_dir), "--authfile"]
    run([*inspect, good, reference], timeout_seconds=60)
    with pytest.raises(CommandFailed, match=r"(?i)unauthorized|authentication"):
        run([*inspect, bad, reference], timeout_seconds=60)


def test_the_bridge_is_up_with_its_address(linux_bridge: LinuxBridge) -> None:
    shown = run(["ip", "-br", "address", "show", linux_bridge.name], timeout_seconds=10).stdout.decode()
    assert f"{linux_bridge.address}/24" in shown
