# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Relative links in Markdown files lead to a file that exists and, with ``#``, to one of its headings."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote


def broken(repository: Path, files: Iterable[Path]) -> Iterator[str]:
    """A line for each link that leads nowhere."""
    for path in files:
        if path.suffix == ".md":
            yield from _broken_in(path, repository)


def _broken_in(path: Path, repository: Path) -> Iterator[str]:
    for number, line in enumerate(_without_inline_code(_without_blocks(path.read_text())).splitlines(), start=1):
        for target in re.findall(r"\]\(([^()\s]+)\)", line):
            if re.match(r"[a-z]+:", target):  # another site: not ours to check without a network
                continue
            name, _, anchor = unquote(target).partition("#")
            place = f"{path.relative_to(repository)}:{number}"
            file = (path.parent / name).resolve() if name else path
            if repository not in (file, *file.parents) or not file.exists():
                yield f"{place}: {target} leads to no file of the repository"
            elif anchor and anchor not in _anchors(file):
                yield f"{place}: {target} leads to no heading of {file.relative_to(repository)}"


@cache
def _anchors(path: Path) -> frozenset[str]:
    """The anchors that a forge makes of headings: lower case, no punctuation, hyphens; a second one gets -1."""
    seen: dict[str, int] = {}
    anchors = set()
    for heading in re.findall(r"^#+ +(.*?) *$", _without_blocks(path.read_text()), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen.get(anchor, 0)
        anchors.add(f"{anchor}-{count}" if count else anchor)
        seen[anchor] = count + 1
    return frozenset(anchors)


def _without_blocks(text: str) -> str:
    """The text with fenced blocks blanked; line numbers stay."""
    fenced = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
    return fenced.sub(lambda match: "\n" * match[0].count("\n"), text)


def _without_inline_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", text)
