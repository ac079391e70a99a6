# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An object of the API, read with types: oVirt has truths and small numbers as texts, and times in milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """``values`` as they came. A path is names with dots, as in cluster.name; what is not there is empty."""

    values: Mapping[str, Any]

    @property
    def id(self) -> str:
        return self.text("id")

    @property
    def name(self) -> str:
        return self.text("name")

    def text(self, path: str) -> str:
        value = self._at(path)
        return "" if value is None else str(value)

    def whole(self, path: str) -> int:
        try:
            return int(float(self.text(path)))
        except ValueError:
            return 0

    def number(self, path: str) -> float:
        try:
            return float(self.text(path))
        except ValueError:
            return 0.0

    def flag(self, path: str) -> bool:
        return self.text(path).lower() == "true"

    def when(self, path: str) -> datetime | None:
        """A time of now's zone."""
        milliseconds = self.whole(path)
        return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone() if milliseconds else None

    def records(self, path: str) -> list["Record"]:
        """Members of a list, as in nics.nic."""
        value = self._at(path)
        return [Record(each) for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []

    def texts(self, path: str) -> list[str]:
        value = self._at(path)
        return [str(each) for each in value] if isinstance(value, list) else []

    def _at(self, path: str) -> Any:
        value: Any = self.values
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value
