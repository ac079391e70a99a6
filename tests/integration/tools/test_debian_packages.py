# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""packaging/deb/build makes, without a network, packages that dpkg reads and whose programs find their libraries."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.pages import DOCS
from tools.vm.installation import packages

_REPOSITORY = DOCS.parent
_RECIPE = _REPOSITORY / "packaging/deb"
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def _output(*argv: str | Path) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=100).stdout


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A world has no way out, so what would be fetched would fail."""
    out = tmp_path_factory.mktemp("debs")
    _output(_RECIPE / "build", out)
    return {path.name.partition("_")[0]: path for path in out.glob("*.deb")}


def _files(deb: Path) -> dict[str, tuple[str, str]]:
    """Path → (mode, owner) of what is no directory."""
    rows = (line.split(None, 5) for line in _output("dpkg-deb", "--contents", deb).splitlines())
    return {row[5].removeprefix("."): (row[0], row[1]) for row in rows if not row[0].startswith("d")}


def _field(deb: Path, name: str) -> str:
    return _output("dpkg-deb", "--field", deb, name).strip()


_ADMINISTRATORS = ("/var/lib", "/etc/covirt", "/etc/pki", "/rhev")
_DAEMONS = ("covirt-engine", "covirt-host", "covirt-virtocid")


def test_there_is_one_for_the_libraries_and_one_for_each_daemon(debs: dict[str, Path]) -> None:
    assert sorted(debs) == sorted(["covirt", "covirt-imageio", *_DAEMONS])


def test_the_image_daemon_is_another_program(debs: dict[str, Path], tmp_path: Path) -> None:
    """Under the GPL: nothing of it is in a package of ours, and nothing of ours in its."""
    assert not [path for path in _files(debs["covirt"]) if "ovirt_imageio" in path]
    assert not [path for path in _files(debs["covirt-imageio"]) if "/covirt/" in path]
    assert "/usr/bin/ovirt-imageio -> ../lib/covirt-imageio/bin/ovirt-imageio" in _files(debs["covirt-imageio"])
    assert "covirt-imageio" in _field(debs["covirt-host"], "Recommends")
    _output("dpkg-deb", "--extract", debs["covirt-imageio"], tmp_path)
    environment = tmp_path / "usr/lib/covirt-imageio"
    assert "GPL-2.0-or-later" in (tmp_path / "usr/share/doc/covirt-imageio/copyright").read_text()
    assert "--conf-dir" in _output(environment / "bin/python3", "-I", environment / "bin/ovirt-imageio", "--help")


def test_files_of_the_daemons(debs: dict[str, Path]) -> None:
    script, data = "lrwxrwxrwx", "-rw-r--r--"
    modes = {path: mode for name in _DAEMONS for path, (mode, _) in _files(debs[name]).items()}
    programs = ("covirt-engine", "covirt-host", "virtocid", "virtocid-exec", "virtocid-image", "virtocid-logs")
    assert modes == {
        **{f"/usr/bin/{name} -> ../lib/covirt/bin/{name}": script for name in programs},
        **{f"/usr/lib/systemd/system/{name}.service": data for name in ("covirt-engine", "covirt-host", "virtocid")},
        **{f"/usr/lib/sysusers.d/{name}.conf": data for name in ("covirt", "covirt-engine", "covirt-host")},
        **{f"/usr/lib/tmpfiles.d/{name}.conf": data for name in ("covirt-engine", "covirt-host")},
        **{f"/usr/share/doc/{name}/copyright": data for name in _DAEMONS},
    }


def test_everything_is_roots_and_writable_by_nobody_else(debs: dict[str, Path]) -> None:
    for deb in debs.values():
        for path, (mode, owner) in _files(deb).items():
            assert owner == "root/root"
            assert mode[0] == "l" or mode in {"-rw-r--r--", "-rwxr-xr-x"}, path


def test_how_much_room_they_need_is_what_their_files_take(debs: dict[str, Path], tmp_path: Path) -> None:
    """In KiB, which apt adds up before it installs; directories count, each as little as a file system has it."""
    for name, deb in debs.items():
        place = tmp_path / name
        _output("dpkg-deb", "--extract", deb, place)
        paths = list(place.rglob("*"))
        content = sum(path.lstat().st_size for path in paths if not path.is_dir() or path.is_symlink()) >> 10
        told = int(_field(deb, "Installed-Size"))
        assert content <= told <= content + 8 * len(paths) + 8, name


def test_what_they_depend_on(debs: dict[str, Path]) -> None:
    version = _field(debs["covirt"], "Version")
    assert f"python3 (>= {_PYTHON[6:]}), python3 (<< " in _field(debs["covirt"], "Depends")
    for name in _DAEMONS:
        assert f"covirt (= {version})" in _field(debs[name], "Depends")
    wanted = f"{_field(debs['covirt-virtocid'], 'Depends')} {_field(debs['covirt-virtocid'], 'Recommends')}"
    assert set(packages("packages")) - {"python3", "python3-venv"} <= set(re.findall(r"[a-z][a-z0-9.+-]+", wanted))


@pytest.mark.parametrize("program", ["virtocid", "covirt-host", "covirt-engine"])
def test_programs_run_on_the_packaged_libraries_alone(debs: dict[str, Path], tmp_path: Path, program: str) -> None:
    _output("dpkg-deb", "--extract", debs["covirt"], tmp_path)
    environment = tmp_path / "usr/lib/covirt"
    launcher = environment / "bin" / program
    assert launcher.read_text().startswith("#!/usr/lib/covirt/bin/python3\n")
    root = tmp_path / "root"
    root.mkdir()
    assert _output(environment / "bin/python3", "-I", launcher, "--root", root, "--show-config")
    # Compiled once, at the build: nothing is written beside a module, on a host or here.
    place = environment / "lib" / _PYTHON / "site-packages/covirt"
    assert list(place.rglob("*.pyc"))
    where = "import covirt, sys; print(sys.prefix, [p for p in sys.path if 'packages' in p])"
    assert _output(environment / "bin/python3", "-I", "-c", where).split() == [
        str(environment), f"['{place.parent}']",
    ]  # fmt: skip


@pytest.mark.parametrize("action", ["configure", "remove", "purge"])
@pytest.mark.parametrize("name", _DAEMONS)
def test_maintainer_scripts_may_run_again(tmp_path: Path, name: str, action: str) -> None:
    """Each ends well twice over, doing the same; the programs are stand-ins that tell what they were asked."""
    told = tmp_path / "told"
    for program in (
        "systemd-sysusers", "systemd-tmpfiles", "systemctl", "deb-systemd-helper", "deb-systemd-invoke",
        "covirt-host", "rm",
    ):  # fmt: skip
        stand_in = tmp_path / program
        stand_in.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >>{told}\n')
        stand_in.chmod(0o755)
    scripts = ("postinst",) if action == "configure" else ("prerm", "postrm")
    runs = []
    for _ in range(2):
        told.write_text("")
        for script in scripts:
            subprocess.run(
                [_RECIPE / name / script, action], env={"PATH": f"{tmp_path}:/bin"}, check=True, timeout=10
            )
        runs.append(told.read_text())
    assert runs[0] == runs[1]
    assert ("covirt-host end-transfers" in runs[0]) is (name == "covirt-host" and action == "remove")
    removed = [word for line in runs[0].splitlines() for word in line.split()[1:] if line.startswith("rm ")]
    assert not [path for path in removed if path.startswith(_ADMINISTRATORS)]
    links = f"/etc/systemd/system/*.wants/{name}.service"  # of who enabled it by hand
    assert (links in removed) is (action == "purge" and name != "covirt-virtocid")
    if action == "configure":
        assert (
            f"systemd-sysusers /usr/lib/sysusers.d/{'covirt' if name == 'covirt-virtocid' else name}.conf" in runs[0]
        )
