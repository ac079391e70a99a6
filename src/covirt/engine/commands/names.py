# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What objects may be called."""

import re
from typing import Final

from covirt.common.errors import InvalidRequest

_NAME: Final = re.compile(r"[\w.-]+")


class BadName(InvalidRequest):
    """Fields: kind, longest."""

    template = (
        "{kind} names may only contain letters, numbers, '-', '_' and '.', and have 1 to {longest} characters; "
        "choose another one."
    )


class BadTitle(InvalidRequest):
    """Fields: kind, longest."""

    template = "{kind} names must have 1 to {longest} characters, without line breaks; choose another one."


def check_name(kind: str, name: str, *, longest: int = 255) -> None:
    """Of what has a name for machines, too. Raises BadName."""
    if len(name) > longest or not _NAME.fullmatch(name):
        raise BadName(kind=kind, longest=longest)


def check_title(kind: str, name: str, *, longest: int = 255) -> None:
    """Of what only people call by its name. Raises BadTitle."""
    if not name.strip() or len(name) > longest or not name.isprintable():
        raise BadTitle(kind=kind, longest=longest)
