# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes that images declare and nobody mapped: directories of ours, which outlive runs and definitions.

``STATE/virtocid/volumes/<uuid>/<path inside, escaped>/data``, entered by root alone, since the ids in it are the
image's. A domain that is defined again under its UUID finds them again. They go when somebody deletes them:
``virsh undefine --remove-all-storage`` or ``virsh vol-delete PATH``.
"""

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote
from uuid import UUID

from covirt.common.files import remove_tree
from covirt.virtocid.driver.domain_xml import model
from covirt.virtocid.driver.errors import NoSuchVolume
from covirt.virtocid.driver.registry import Domains

log = logging.getLogger(__name__)

KEPT_POOL: Final = "kept"  # only a word for the wire: there is no such pool to be listed
_REMOVED: Final = ".removed-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One volume: its directory, and where it was mounted."""

    uuid: UUID
    directory: Path
    target: str

    @property
    def name(self) -> str:
        return f"{self.uuid}/{self.directory.name}"


class KeptVolumes:
    """The directories below ``state_dir``. Thread-safe: the kernel has the state."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "virtocid" / "volumes"

    def directory(self, uuid: UUID) -> Path:
        """A domain's, which need not exist."""
        return self._directory / str(uuid)

    def of(self, uuid: UUID) -> tuple[Kept, ...]:
        try:
            places = sorted(self.directory(uuid).iterdir())
        except FileNotFoundError:
            return ()
        return tuple(
            Kept(uuid=uuid, directory=place, target=f"/{unquote(place.name)}")
            for place in places
            if not place.name.startswith(_REMOVED)
        )

    def at(self, path: str) -> Kept:
        """The volume whose directory this is. Raises NoSuchVolume."""
        place = Path(path)
        with contextlib.suppress(ValueError):
            found = next((each for each in self.of(UUID(place.parent.name)) if each.directory == place), None)
            if found is not None:
                return found
        raise NoSuchVolume(key="path", value=path)

    def has(self, path: str | None) -> bool:
        """Whether a path lies among these directories."""
        return self._directory in Path(path or "").parents

    def disks(self, uuid: UUID) -> tuple[model.Disk, ...]:
        """How the XML of a domain that is off shows them, so that clients find what belongs to it."""
        return tuple(
            model.Disk(
                device=model.DiskDevice.DISK,
                type=model.DiskType.DIR,
                source=str(kept.directory),
                target=f"kept{number}",
                mount=model.DiskMount(target=kept.target),
            )
            for number, kept in enumerate(self.of(uuid))
        )

    def remove(self, path: str, domains: Domains) -> None:
        """Delete one with all that is in it. Raises NoSuchVolume, DomainIsRunning."""
        kept = self.at(path)
        domain = domains.find(kept.uuid)
        if domain is None:
            self._remove(kept)
            return
        with domain.job("vol-delete"):
            domain.require_inactive()
            self._remove(kept)

    def _remove(self, kept: Kept) -> None:
        removed = kept.directory.with_name(f"{_REMOVED}{kept.directory.name}")
        remove_tree(removed)
        with contextlib.suppress(FileNotFoundError):
            kept.directory.rename(removed)  # one step: from here on a killed daemon finishes the removal
        remove_tree(removed)
        with contextlib.suppress(OSError):
            kept.directory.parent.rmdir()
        log.info("Volume deleted path=%s", kept.directory)

    def finish_removals(self) -> None:
        """At start-up: what a killed daemon had begun to delete."""
        for left in self._directory.glob(f"*/{_REMOVED}*"):
            try:
                remove_tree(left)
            except OSError as error:  # the next start tries again
                log.error("A deleted volume is still there path=%s: %s", left, error.strerror)
            with contextlib.suppress(OSError):
                left.parent.rmdir()

    def tell_kept(self, name: str, uuid: UUID) -> None:
        """Say in the log what stays of a domain that is gone."""
        for kept in self.of(uuid):
            log.warning("Volume of an undefined domain is kept domain=%s target=%s path=%s", name, kept.target,
                        kept.directory)  # fmt: skip
