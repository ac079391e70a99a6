# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What docs/install.md tells people to do, for the machine: its blocks below ``<!-- tools/vm: NAME -->``."""

import re
import shlex
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "install.md"


def documented(name: str) -> str:
    """The commands of one block."""
    found = re.search(rf"^<!-- tools/vm: {re.escape(name)} -->\n```\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    if found is None:
        raise LookupError(f"{PAGE.name} has no block below <!-- tools/vm: {name} -->, by which ./dev vm installs")
    return found[1]


def packages() -> tuple[str, ...]:
    """The Debian packages that a host needs."""
    words = shlex.split(documented("packages").replace("\\\n", ""))
    if words[:2] != ["apt-get", "install"]:
        raise LookupError(f"the packages of {PAGE.name} are not one call of apt-get install")
    return tuple(word for word in words[2:] if not word.startswith("-"))
