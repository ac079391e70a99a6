# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where secrets are: ``<uuid>.xml`` and ``<uuid>.base64`` as libvirt keeps them, in directories of root's own.

Those that outlive the boot are in ``STATE/virtocid/secrets``, ephemeral ones in ``RUN/virtocid/secrets/<boot id>``.
The XML is removed first: without it there is no secret, and what else is left is removed at the start.
"""

import base64
import binascii
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import UUID

from covirt.common.errors import Error
from covirt.common.files import BrokenFile, make_directory, remove_tree, write_atomic
from covirt.common.mountinfo import in_memory
from covirt.virtocid.driver.secrets.model import SecretConfig
from covirt.virtocid.driver.secrets.secret_xml import format_secret, parse_secret

log = logging.getLogger(__name__)

_XML: Final = ".xml"
_VALUE: Final = ".base64"


class SecretFiles:
    """Not thread-safe: its owner has the lock."""

    def __init__(self, *, state_dir: Path, run_dir: Path, boot_id: str) -> None:
        self._kept = state_dir / "virtocid" / "secrets"
        self._boots = run_dir / "virtocid" / "secrets"
        self._ephemeral = self._boots / boot_id

    def load(self) -> list[SecretConfig]:
        """All of them. What a killed daemon or an earlier boot left is removed; a broken file hides no other."""
        for directory in (self._kept, self._boots, self._ephemeral):
            make_directory(directory.parent)  # which has more than secrets in it
            make_directory(directory, mode=0o700)
        if not in_memory(self._ephemeral):
            log.warning("Ephemeral secrets and variables of containers are on a disk, and should be in memory: "
                        "mount a tmpfs at the run directory path=%s", self._boots)  # fmt: skip
        for entry in self._boots.iterdir():
            if entry != self._ephemeral:
                remove_tree(entry)
        found: dict[UUID, SecretConfig] = {}
        # One that is in both was about to be moved: by then the kept one is whole, or it is not undone yet.
        for directory in (self._kept, self._ephemeral):
            for config in _read_all(directory):
                if config.uuid in found:
                    self._remove_from(directory, config.uuid)
                else:
                    found[config.uuid] = config
        return list(found.values())

    def save(self, config: SecretConfig, *, before: SecretConfig | None) -> None:
        """Write it down, with the value that it had ``before``."""
        directory = self._directory(config)
        moved = before is not None and before.ephemeral != config.ephemeral
        if before is not None and moved:
            value = self.value(before)
            if value is not None:
                self.save_value(config, value)
        write_atomic(directory / f"{config.uuid}{_XML}", format_secret(config).encode(), durable=not config.ephemeral)
        if before is not None and moved:
            self._remove_from(self._directory(before), config.uuid)

    def remove(self, config: SecretConfig) -> None:
        """Absent is fine."""
        self._remove_from(self._directory(config), config.uuid)

    def value(self, config: SecretConfig) -> bytes | None:
        """None when it was given none. Raises BrokenFile."""
        path = self._directory(config) / f"{config.uuid}{_VALUE}"
        try:
            return base64.b64decode(path.read_bytes(), validate=True)
        except FileNotFoundError:
            return None
        except binascii.Error:
            # Not from the error: its traceback would show what was read.
            raise BrokenFile(path=path, reason="it is not base64") from None

    def save_value(self, config: SecretConfig, value: bytes) -> None:
        path = self._directory(config) / f"{config.uuid}{_VALUE}"
        write_atomic(path, base64.b64encode(value), durable=not config.ephemeral)

    def _directory(self, config: SecretConfig) -> Path:
        return self._ephemeral if config.ephemeral else self._kept

    @staticmethod
    def _remove_from(directory: Path, uuid: UUID) -> None:
        for suffix in (_XML, _VALUE):
            (directory / f"{uuid}{suffix}").unlink(missing_ok=True)


def _read_all(directory: Path) -> Iterator[SecretConfig]:
    uuids = set()
    for path in sorted(directory.glob(f"*{_XML}")):
        with suppress(ValueError):
            uuids.add(UUID(path.stem))
            try:
                config = parse_secret(path.read_text())
            except (Error, OSError, UnicodeDecodeError) as error:
                log.error("A secret is left out because its file is broken path=%s reason=%s", path, error)
                continue
            if config.uuid == UUID(path.stem):
                yield config
            else:
                log.error("A secret is left out because its file has another's name path=%s", path)
    for path in directory.iterdir():
        if path.suffix != _XML and path.is_file() and not _belongs(path, uuids):
            path.unlink()


def _belongs(path: Path, uuids: set[UUID]) -> bool:
    with suppress(ValueError):
        return path.suffix == _VALUE and UUID(path.stem) in uuids
    return False
