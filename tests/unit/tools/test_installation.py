# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""docs/install.md names what there is, and the virtual machine of ./dev vm is installed by it."""

import re
import tomllib

import pytest

from covirt.common.process import run
from covirt.oci.image.store import IMPORT_PROGRAMS
from tools.pages import DOCS
from tools.vm import disk
from tools.vm.__main__ import _INSTALL
from tools.vm.installation import PAGES, documented, packages

_REPOSITORY = DOCS.parent


def test_the_machine_has_the_packages_of_the_page() -> None:
    assert {"conmon", "skopeo", "libvirt-clients"} <= set(packages("packages"))
    assert {"libvirt-daemon-system", "qemu-utils"} <= set(packages("host packages"))
    for name in ("packages", "host packages"):
        assert not [word for word in packages(name) if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", word)]
        assert set(packages(name)) <= set(" ".join(disk._DEBIAN_PACKAGES).split())


@pytest.mark.parametrize("program", [*IMPORT_PROGRAMS, "mkfs.erofs", "mke2fs"])
def test_what_an_import_calls_is_in_them(program: str) -> None:
    """A developer's machine has it for other reasons, and a host of packages would not."""
    told = run(["dpkg-query", "--search", f"*bin/{program}"], timeout_seconds=30).stdout.decode()
    owners = {line.partition(":")[0] for line in told.splitlines() if not line.startswith("diversion")}
    essential = run(
        ["dpkg-query", "--show", "--showformat", "${Essential}", *owners], timeout_seconds=30
    ).stdout.decode()
    assert "yes" in essential or owners <= set(packages("packages"))


def test_developers_have_them_too() -> None:
    """But for Python itself, and for systemd's, which their namespaces have no use for."""
    present = set(re.findall(r"[a-z0-9.+-]+", (_REPOSITORY / "dev").read_text()))
    assert set(packages("packages")) - present <= {"python3", "systemd-container"}


def test_the_machine_runs_the_commands_of_the_page() -> None:
    assert documented("service") in _INSTALL
    assert "systemctl enable --now virtocid" in _INSTALL


def test_every_unit_and_its_like_is_installed_and_removed_again() -> None:
    pages = [page.read_text() for page in PAGES]
    for path in (
        path
        for place in ("systemd", "sysusers", "tmpfiles")
        for path in (_REPOSITORY / "packaging" / place).iterdir()
    ):
        [(installing, removing)] = [
            (page.partition("## Uninstall")[0], page.partition("## Uninstall")[2])
            for page in pages
            if f" {path.relative_to(_REPOSITORY)} " in page
        ]
        assert f" {path.relative_to(_REPOSITORY)} " in installing
        assert path.name in removing


def test_every_program_gets_into_the_path() -> None:
    scripts = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    assert {name for name in scripts if not name.startswith("virtocid")} == {
        "covirt",
        "covirt-engine",
        "covirt-host",
    }
    assert "ln -sf /opt/covirt/bin/virtocid* /usr/bin/" in documented("service")
    for name in ("covirt-engine", "covirt-host"):
        assert f"ln -sf /opt/covirt/bin/{name} /usr/bin/" in (DOCS / f"{name}.md").read_text()
    assert "ln -sf /opt/covirt/bin/covirt /usr/bin/" in (DOCS / "quick-start.md").read_text()


def test_a_block_that_is_gone_is_missed() -> None:
    with pytest.raises(LookupError, match="no block below <!-- tools/vm: gone -->"):
        documented("gone")
