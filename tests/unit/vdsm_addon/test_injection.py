# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The add-on takes part only where everything is as it expects it, and leaves the rest alone."""

import ast
import os
import shutil
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from covirt_vdsm import finder, injection, settings

from covirt.common.process import run
from tests.support.vdsm_addon import ADDON

OPEN: Final = "def open_connection(uri=None, username=None, passwd=None):\n    return uri\n"
GET: Final = "def get(target=None, killOnFailure=True):\n    return open_connection('qemu:///system')\n"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What went to the system's log; containers are enabled, and the program is Vdsm's."""
    heard: list[str] = []
    (tmp_path / "addon.conf").write_text("[containers]\nenabled = yes\n")
    monkeypatch.setenv(settings.VARIABLE, str(tmp_path / "addon.conf"))
    monkeypatch.setenv(settings.ACTIVE, "")
    monkeypatch.delenv(settings.ACTIVE)
    monkeypatch.setattr(sys, "argv", ["/usr/libexec/vdsm/vdsmd"])
    monkeypatch.setattr(injection, "say", heard.append)
    return heard


def vdsm_module(text: str) -> ModuleType:
    module = ModuleType(finder.MODULE)
    exec(compile(text, "vdsm", "exec"), module.__dict__)  # noqa: S102
    return module


def test_the_function_is_replaced(said: list[str]) -> None:
    module = vdsm_module(OPEN + GET)
    injection.take_part(module)
    assert said == []
    assert os.environ[settings.ACTIVE] == "1"
    assert module.open_connection("esx://elsewhere") == "esx://elsewhere"  # not Vdsm's own libvirt


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (OPEN.replace("passwd=None", "passwd=None, timeout=None") + GET, "has other parameters"),
        (OPEN.replace("uri=None", "uri=''") + GET, "has other parameters"),
        (OPEN + "def get():\n    return 1\n", "does not call open_connection"),
        (GET, "no function open_connection"),
        ("open_connection = print\n" + GET, "no function open_connection"),
    ],
)
def test_another_shape_is_left_alone(said: list[str], text: str, reason: str) -> None:
    module = vdsm_module(text)
    before: Any = getattr(module, "open_connection", None)
    injection.take_part(module)
    assert getattr(module, "open_connection", None) is before
    assert len(said) == 1
    assert reason in said[0]
    assert settings.ACTIVE not in os.environ


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not enabled"),
        ("[containers]\nenabled = perhaps\n", "Not a boolean"),
        ("[containers]\ncolour = red\n", "colour is not known"),
        ("[limits]\nanswer_seconds = 0\n", "more than 0"),
        ("enabled\n", "cannot be read"),
    ],
)
def test_settings_that_do_not_want_it(said: list[str], text: str, reason: str) -> None:
    Path(os.environ[settings.VARIABLE]).write_text(text)
    module = vdsm_module(OPEN + GET)
    before: Callable[..., Any] = module.open_connection
    injection.take_part(module)
    assert module.open_connection is before
    assert reason in said[0]


def test_other_programs_are_left_alone(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/vdsm-tool"])
    module = vdsm_module(OPEN + GET)
    before = module.open_connection
    injection.take_part(module)
    assert module.open_connection is before
    assert said == []


def test_half_an_installation_leaves_vdsm_its_module(tmp_path: Path) -> None:
    """An installation that was killed may have written what looks at the module, and not what is to take part."""
    package, module = tmp_path / "covirt_vdsm", tmp_path / "vdsm/common/libvirtconnection.py"
    package.mkdir()
    module.parent.mkdir(parents=True)
    module.write_text(OPEN + GET)
    for name in ("__init__.py", "finder.py"):
        (package / name).write_text((ADDON / "lib/covirt_vdsm" / name).read_text())
    program = (
        "from covirt_vdsm import finder; finder.wait_for_vdsm(); "
        "from vdsm.common import libvirtconnection; print(libvirtconnection.get())"
    )
    told = run(
        [sys.executable, "-c", program], timeout_seconds=30, environment={"PYTHONPATH": str(tmp_path)}, check=False
    )
    assert told.stdout == b"qemu:///system\n", told
    assert b"not whole, install it again" in told.stderr


@pytest.mark.parametrize("path", sorted((ADDON / "lib").rglob("*.py")), ids=lambda path: path.name)
def test_the_first_python_of_vdsm_can_read_it(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            assert top in {"covirt_vdsm", "libvirt"} or top in sys.stdlib_module_names, name


def test_the_installer_leaves_nothing_behind(tmp_path: Path) -> None:
    def listed() -> set[str]:
        return {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}

    foreign = tmp_path / "usr/libexec/vdsm/hooks/before_vm_start/10_other"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("another's")
    environment = {"DESTDIR": str(tmp_path)}
    run([ADDON / "install"], timeout_seconds=30, environment=environment)
    installed = listed()
    assert "usr/share/covirt-vdsm-addon/covirt_vdsm/composite.py" in installed
    assert {f"usr/libexec/vdsm/hooks/{path.name}/50_covirt" for path in (ADDON / "hooks").iterdir()} <= installed
    configuration = tmp_path / "etc/covirt/vdsm-addon.conf"
    configuration.write_text("[containers]\nenabled = yes\n")
    run([ADDON / "install"], timeout_seconds=30, environment=environment)  # an update
    assert "enabled = yes" in configuration.read_text()
    run([ADDON / "install", "--uninstall"], timeout_seconds=30, environment=environment)
    assert listed() == {
        "usr/libexec/vdsm/hooks/before_vm_start/10_other", "etc/covirt/vdsm-addon.conf", "etc/covirt/vdsm-addon.env"
    }  # fmt: skip
    run([ADDON / "install", "--uninstall", "--purge"], timeout_seconds=30, environment=environment)
    assert listed() == {"usr/libexec/vdsm/hooks/before_vm_start/10_other"}


def test_an_update_leaves_no_file_of_an_older_one(tmp_path: Path) -> None:
    environment = {"DESTDIR": str(tmp_path)}
    lib = tmp_path / "usr/share/covirt-vdsm-addon"
    for name in ("covirt_vdsm/gone.py", "../covirt-vdsm-addon.new/half.py"):  # the second was killed
        (lib / name).parent.mkdir(parents=True, exist_ok=True)
        (lib / name).touch()
    run([ADDON / "install"], timeout_seconds=30, environment=environment)
    assert not (lib / "covirt_vdsm/gone.py").exists()
    assert not (lib / "half.py").exists()
    assert [path.name for path in lib.parent.iterdir()] == [lib.name]


def test_words_that_mean_nothing_change_nothing(tmp_path: Path) -> None:
    """Purging alone would have installed, and removed the configuration then."""
    for words in (["--purge"], ["--uninstal"], ["now"]):
        told = run(
            [ADDON / "install", *words], timeout_seconds=30, environment={"DESTDIR": str(tmp_path)}, check=False
        )
        assert (told.status, b"--uninstall --purge" in told.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
def test_a_host_without_vdsm_gets_nothing(open_dir: Path) -> None:
    """Asked as a user that could not install anything."""
    program = shutil.copytree(ADDON, open_dir / "vdsm-addon") / "install"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    told = run([*nobody, program], timeout_seconds=30, check=False)
    assert (told.status, b"there is no Vdsm on this host" in told.stderr) == (1, True), told


def test_the_package_has_every_file_that_is_installed(tmp_path: Path) -> None:
    run([ADDON / "install"], timeout_seconds=30, environment={"DESTDIR": str(tmp_path)})
    spec = (ADDON / "covirt-vdsm-addon.spec").read_text()
    macros = {
        "%{name}": "covirt-vdsm-addon", "%{_sysconfdir}": "/etc", "%{_datadir}": "/usr/share",
        "%{_libexecdir}": "/usr/libexec", "%{_unitdir}": "/usr/lib/systemd/system",
        "%{_sysusersdir}": "/usr/lib/sysusers.d", "%{_docdir}": "/usr/share/doc",
    }  # fmt: skip
    for macro, value in macros.items():
        spec = spec.replace(macro, value)
    patterns = [line.split()[-1] for line in spec.partition("%files")[2].splitlines() if line and "%dir" not in line]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            name = f"/{path.relative_to(tmp_path)}"
            assert any(fnmatch(name, pattern) or name.startswith(f"{pattern}/") for pattern in patterns), name
