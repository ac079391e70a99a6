# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""docs/configuration.md is what virtocid's configuration says, and the example on it is one."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from covirt.common.config import config_json, load_config
from covirt.virtocid.config import VirtocidConfig
from tools.configuration.page import ENGINE_PAGE, HOST_PAGE, PAGE
from tools.configuration.settings import tables
from tools.pages import CannotTell, Page


def test_the_page_is_true() -> None:
    assert PAGE.stale() == ""
    assert HOST_PAGE.stale() == ""
    assert ENGINE_PAGE.stale() == ""


@pytest.mark.parametrize("text", [None, "# Before the last change\n"])
def test_a_stale_page_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None) -> None:
    monkeypatch.setattr("tools.pages.DOCS", tmp_path)
    if text is not None:
        PAGE.path.write_text(text)
    assert "docs/configuration.md" in PAGE.stale()
    assert PAGE.stale().endswith("run .venv/bin/python -m tools.configuration")


def test_the_command_writes_and_checks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.pages.DOCS", tmp_path)
    page = Page(name="page.md", module="tools.page", text=lambda: "words\n")
    monkeypatch.setattr(sys, "argv", ["page", "--check"])
    assert page.main() == 1
    assert "python -m tools.page" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["page"])
    assert page.main() == 0
    monkeypatch.setattr(sys, "argv", ["page", "--check"])
    assert page.main() == 0
    assert capsys.readouterr().err == ""


def test_the_example_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.text(), re.DOTALL)
    (tmp_path / "50-local.toml").write_text(example)
    loaded = load_config(VirtocidConfig, [tmp_path])
    assert config_json(loaded) != config_json(VirtocidConfig())
    assert loaded.container.default_runtime == "crun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unexplained:
    # Said in one line,
    # and another.
    explained: int = 1
    unexplained: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    # Said in one line,
    # and another.
    explained: int = 1


def test_meanings_are_the_comments_above() -> None:
    (table,) = tables(Explained, sys.modules[__name__])
    assert [(each.key, each.default, each.meaning) for each in table.settings] == [
        ("explained", 1, "Said in one line, and another.")
    ]


def test_a_setting_without_words_is_found() -> None:
    with pytest.raises(CannotTell, match=r"Unexplained\.unexplained has no comment"):
        tables(Unexplained, sys.modules[__name__])
