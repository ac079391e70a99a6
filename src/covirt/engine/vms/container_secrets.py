# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The custom property containerSecrets: which secrets a container is given, and as what."""

import posixpath
import re
from dataclasses import dataclass
from typing import Final

from covirt.hostapi.vm import MOST_SECRETS

SECRET_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIRECTORY: Final = "/run/secrets"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSecret:
    """A file at ``path``, or a variable."""

    name: str
    path: str = ""
    variable: str = ""

    @property
    def place(self) -> str:
        return self.path or self.variable


def given_secrets(text: str) -> tuple[GivenSecret, ...]:
    """NAME, NAME:/PATH and NAME:VARIABLE, with commas between. Raises ValueError."""
    found = tuple(_given(each.strip()) for each in text.split(",") if each.strip())
    places = [each.place for each in found]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is given twice")
    if len(found) > MOST_SECRETS:
        raise ValueError(f"it is given {len(found)} secrets, and may have {MOST_SECRETS}")
    return found


def secret_names(text: str) -> set[str]:
    """Those that the property names, whatever else may be wrong with it: it may be of before a rule."""
    return {each.partition(":")[0].strip() for each in text.split(",") if each.strip()}


def _given(text: str) -> GivenSecret:
    name, colon, place = (part.strip() for part in text.partition(":"))
    if not SECRET_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a secret")
    if not colon:
        return GivenSecret(name=name, path=f"{_DIRECTORY}/{name}")
    if place.startswith("/"):
        if posixpath.normpath(place) != place or place == "/":
            raise ValueError(f"{place!r} is not the path of a file, written without . and ..")
        if not place.isprintable():
            raise ValueError(f"{place!r} is not the path of a file: it has other characters than printable ones")
        return GivenSecret(name=name, path=place)
    if not _VARIABLE.fullmatch(place):
        raise ValueError(f"{place!r} is neither an absolute path nor the name of a variable")
    return GivenSecret(name=name, variable=place)
