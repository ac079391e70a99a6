# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Relative links in Markdown files lead to a file that exists and, with ``#``, to one of its headings."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from tools.checks.files import REPOSITORY, repository_files, shown


def broken() -> Iterator[str]:
    for path in repository_files():
        if path.suffix == ".md":
            yield from _broken_in(path)


def _broken_in(path: Path) -> Iterator[str]:
    for number, line in enumerate(_without_code(path.read_text()).splitlines(), start=1):
        for target in re.findall(r"\]\(([^()\s]+)\)", line):
            if re.match(r"[a-z]+:", target):  # another site: not ours to check without a network
                continue
            name, _, anchor = unquote(target).partition("#")
            place = f"{shown(path)}:{number}"
            file = (path.parent / name).resolve() if name else path
            if REPOSITORY not in (file, *file.parents) or not file.exists():
                yield f"{place}: {target} leads to no file of the repository"
            elif anchor and anchor not in _anchors(file):
                yield f"{place}: {target} leads to no heading of {shown(file)}"


@cache
def _anchors(path: Path) -> frozenset[str]:
    """The anchors that a forge makes of headings: lower case, punctuation dropped, spaces to hyphens."""
    headings = re.findall(r"^#+ +(.*?) *$", _without_code(path.read_text()), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def _without_code(text: str) -> str:
    """The text with fenced blocks blanked (line numbers stay) and inline code removed."""
    blanked = re.sub(
        r"^(```|~~~).*?^\1", lambda match: "\n" * match[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL
    )
    return re.sub(r"`[^`\n]*`", "", blanked)
