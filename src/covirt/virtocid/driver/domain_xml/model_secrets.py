# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""<covirt:secret>: which secret a container is given, and how; never its value."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSecret:
    """By ``uuid`` or ``usage`` (the id of its usage); in a file at ``path`` or in a variable ``environment``.

    ``uid`` and ``gid`` are the container's; None: those of the user that its process starts as.
    """

    uuid: UUID | None = None
    usage: str | None = None
    path: str | None = None
    environment: str | None = None
    mode: int = 0o400
    uid: int | None = None
    gid: int | None = None

    @property
    def label(self) -> str:
        """For messages, beside its place; a UUID would tell nobody which one it is."""
        return f"the secret {self.usage}" if self.usage else "a secret"
