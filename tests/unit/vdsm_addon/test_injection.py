# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The add-on takes part only where everything is as it expects it, and leaves the rest alone."""

import ast
import os
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
