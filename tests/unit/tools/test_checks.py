# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The small checkers of ``./dev check`` find what they are there for, and nothing else."""

from pathlib import Path

import pytest

from tools.checks import links, sources

_LICENCE = "# SPDX-FileCopyrightText: the covirt authors\n# SPDX-License-Identifier: Apache-2.0\n"


@pytest.mark.parametrize(
    "link",
    ["b.md", "b.md#two-words", "#here", "b.md#its-a-b", "https://example.org/x#y", "sub", "b.md#again-1"],
)  # fmt: skip
def test_a_link_that_leads_somewhere(tmp_path: Path, link: str) -> None:
    assert complaints(tmp_path, f"# Here\n\nSee [it]({link}).\n") == []


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("c.md", "leads to no file"),
        ("../outside.md", "leads to no file"),
        ("b.md#three-words", "leads to no heading of b.md"),
        ("#there", "leads to no heading of a.md"),
        ("b.md#not-a-heading", "leads to no heading"),
    ],
)
def test_a_link_that_leads_nowhere(tmp_path: Path, link: str, words: str) -> None:
    (found,) = complaints(tmp_path, f"# Here\n\nSee [it]({link}).\n")
    assert found.startswith(f"a.md:3: {link} ")
    assert words in found


def test_code_is_not_a_link(tmp_path: Path) -> None:
    assert complaints(tmp_path, "`[it](c.md)`\n\n```\n[it](d.md)\n```\n") == []


def complaints(directory: Path, text: str) -> list[str]:
    (directory / "a.md").write_text(text)
    (directory / "b.md").write_text("# Two words\n## It's `a` B\n# Again\n# Again\n```\n# Not a heading\n```\n")
    (directory / "sub").mkdir()
    return list(links.broken(directory, sorted(directory.rglob("*.md"))))


def test_length(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("x\n" * 600)
    (tmp_path / "bad.py").write_text("x\n" * 601)
    (found,) = sources.too_long(sorted(tmp_path.iterdir()))
    assert "bad.py: 601 lines" in found


@pytest.mark.parametrize("text", [_LICENCE, f"#!/bin/sh\n{_LICENCE}exit\n", f'{_LICENCE}"""Words."""\n'])
def test_licence_lines_are_there(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    assert list(sources.without_licence([tmp_path / "file"])) == []


@pytest.mark.parametrize(
    "text", ["", f'"""Words."""\n{_LICENCE}', _LICENCE.splitlines()[0], _LICENCE.replace("2.0", "1.0")]
)
def test_licence_lines_are_missing(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    assert len(list(sources.without_licence([tmp_path / "file"]))) == 1
