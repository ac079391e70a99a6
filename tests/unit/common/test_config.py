# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration files: what counts, and what is said about mistakes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pytest

from covirt.common.config import (
    BadConfigValue,
    Between,
    BrokenConfigFile,
    UnknownConfigKey,
    config_json,
    load_config,
    setting,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    size: int = setting(1, check=Between(1, 10))
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) > self.size:
            raise ValueError("has more names than its size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    flag: bool = False
    ratio: float = 0.5
    text: str | None = None
    path: Path = Path("/default")
    colour: Colour = Colour.RED
    inner: Inner = field(default_factory=Inner)
    named: Mapping[str, Inner] = field(default_factory=lambda: {"first": Inner(size=3)})
    several: tuple[Inner, ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    vendor: Path
    admin: Path

    def load(self) -> Outer:
        return load_config(Outer, (self.vendor, self.admin))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    found = Files(tmp_path / "usr", tmp_path / "etc")
    found.vendor.mkdir()
    found.admin.mkdir()
    return found


def test_no_file_means_defaults(tmp_path: Path) -> None:
    assert load_config(Outer, (tmp_path / "absent",)) == Outer()


def test_every_type(files: Files) -> None:
    (files.admin / "a.toml").write_text(
        """
        flag = true
        ratio = 2
        text = "x"
        path = "/p"
        colour = "blue"
        several = [{size = 2}, {names = ["n"]}]
        [inner]
        names = ["a"]
        [named.second]
        size = 4
        [named.first]
        names = ["b", "c"]
        """
    )
    assert files.load() == Outer(
        flag=True,
        ratio=2.0,
        text="x",
        path=Path("/p"),
        colour=Colour.BLUE,
        inner=Inner(names=("a",)),
        named={"first": Inner(size=3, names=("b", "c")), "second": Inner(size=4)},
        several=(Inner(size=2), Inner(names=("n",))),
    )


def test_the_administrators_file_hides_the_vendors_of_the_same_name(files: Files) -> None:
    (files.vendor / "50-x.toml").write_text("flag = true\ntext = 'vendor'")
    (files.admin / "50-x.toml").write_text("ratio = 0.1")
    assert files.load() == Outer(ratio=0.1)


def test_names_order_files_wherever_they_are(files: Files) -> None:
    (files.admin / "10-early.toml").write_text("text = 'early'\ninner.size = 5")
    (files.vendor / "20-late.toml").write_text("text = 'late'")
    (files.vendor / "30-note.txt").write_text("text = 'no TOML file'")
    assert files.load() == Outer(text="late", inner=Inner(size=5))


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("fla = true", UnknownConfigKey, "'fla'"),
        ("inner.sizes = 1", UnknownConfigKey, "'inner.sizes'"),
        ("[named.a]\nb = 1", UnknownConfigKey, "'named.a.b'"),
        ("flag = 1", BadConfigValue, "flag must be true or false, and is 1"),
        ("inner.size = true", BadConfigValue, "inner.size must be a whole number"),
        ("inner.size = 1.0", BadConfigValue, "inner.size must be a whole number"),
        ("inner.size = 11", BadConfigValue, "inner.size must be 1 to 10, and is 11"),
        ("ratio = '1'", BadConfigValue, "ratio must be a number"),
        ("text = 1", BadConfigValue, "text must be a text"),
        ("path = 'relative'", BadConfigValue, "path must be an absolute path"),
        ("colour = 'green'", BadConfigValue, "colour must be one of red, blue"),
        ("inner = 1", BadConfigValue, "inner must be a table"),
        ("inner.names = 'a'", BadConfigValue, "inner.names must be a list"),
        ("inner.names = [1]", BadConfigValue, "inner.names must be a text"),
        ("named = []", BadConfigValue, "named must be a table"),
        ("inner.names = ['a', 'b']", BadConfigValue, "inner has more names than its size"),
        ("flag = ", BrokenConfigFile, "is not TOML"),
        ("flag = true\nflag = true", BrokenConfigFile, "is not TOML"),
    ],
)
def test_mistakes_name_file_and_key(files: Files, text: str, error: type[Exception], said: str) -> None:
    path = files.admin / "a.toml"
    path.write_text(text)
    with pytest.raises(error) as caught:
        files.load()
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_is_not_text_is_broken(files: Files) -> None:
    (files.admin / "a.toml").write_bytes(b"text = '\xff'")
    with pytest.raises(BrokenConfigFile):
        files.load()


def test_the_effective_configuration_is_json() -> None:
    shown = json.loads(config_json(Outer(path=Path("/p"), inner=Inner(names=("a",)))))
    assert shown["path"] == "/p"
    assert shown["inner"] == {"size": 1, "names": ["a"]}
    assert shown["named"]["first"]["size"] == 3
