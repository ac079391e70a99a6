# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an import is told, and what it tells while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

DEFAULT_POLICY: Final = Path("/etc/containers/policy.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How to reach and judge the source. ``filesystem`` is "erofs", "ext4", or None to ask the kernel."""

    authfile: Path | None = None
    cert_dir: Path | None = None
    policy: Path = DEFAULT_POLICY
    tls_verify: bool = True
    filesystem: str | None = None
    stall_seconds: float = 300.0  # a copy that brings no byte for so long is given up


class Step(StrEnum):
    """The steps of an import, in order."""

    RESOLVE = "resolve"
    COPY = "copy"
    UNPACK = "unpack"
    PACK = "pack"
    PUBLISH = "publish"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where an import stands. The bytes count within the step; None where nobody knows."""

    step: Step
    done_bytes: int | None = None
    total_bytes: int | None = None

    @property
    def percent(self) -> float | None:
        if not self.total_bytes or self.done_bytes is None:
            return None
        return min(100.0, 100.0 * self.done_bytes / self.total_bytes)


ProgressCallback = Callable[[Progress], None]


def no_progress(progress: Progress) -> None:
    """For callers that do not watch."""
