# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What pages of docs/ tell people to do to install: their blocks below ``<!-- tools/vm: NAME -->``."""

import re
import shlex
from pathlib import Path
from typing import Final

_DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
PAGES: Final = (_DOCS / "install.md", _DOCS / "covirt-host.md", _DOCS / "covirt-engine.md")


def documented(name: str) -> str:
    """The commands of one block."""
    begin = rf"^<!-- tools/vm: {re.escape(name)} -->\n```\n(.*?)^```$"
    for page in PAGES:
        if found := re.search(begin, page.read_text(), re.M | re.S):
            return found[1]
    names = " and ".join(page.name for page in PAGES)
    raise LookupError(f"{names} have no block below <!-- tools/vm: {name} -->, by which ./dev vm installs")


def packages(name: str) -> tuple[str, ...]:
    """The Debian packages that a block installs."""
    words = shlex.split(documented(name).replace("\\\n", ""))
    if words[:2] != ["apt-get", "install"]:
        raise LookupError(f"the block {name!r} is not one call of apt-get install")
    return tuple(word for word in words[2:] if not word.startswith("-"))
