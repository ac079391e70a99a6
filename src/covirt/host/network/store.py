# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is written down of networks: those of this boot, those that survive it, and a change that is under way.

A change is written down before its first step and struck out after its last. One that is found at a start was cut
short, and is undone.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from covirt.common.files import BrokenFile, make_directory, read_json, write_json
from covirt.common.root import boot_id
from covirt.host.network.model import NetworkConfig
from covirt.host.network.plan import Original

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The networks, and what each of their NICs had before."""

    config: NetworkConfig = field(default_factory=NetworkConfig)
    originals: Mapping[str, Original] = field(default_factory=dict)


class NetworkStore:
    def __init__(self, *, state_dir: Path, run_dir: Path) -> None:
        self._safe = state_dir / "networks.json"
        self._running = run_dir / "networks.json"
        self._change = run_dir / "network-change.json"

    def safe(self) -> NetworkConfig:
        """What the engine declared safe: it is there again after a reboot. Raises BrokenFile, UnknownFileVersion."""
        try:
            with _as_written(self._safe):
                return NetworkConfig.from_record(read_json(self._safe, versions=range(1, _VERSION + 1)))
        except FileNotFoundError:
            return NetworkConfig()

    def write_safe(self, config: NetworkConfig) -> None:
        make_directory(self._safe.parent)
        write_json(self._safe, config.record(), version=_VERSION)

    def running(self) -> Running | None:
        """The networks of this boot; None when there were none yet."""
        return _read(self._running)

    def write_running(self, running: Running) -> None:
        _write(self._running, running)

    def cut_short(self) -> Running | None:
        """What was before a change that did not come to its end; the originals are also of NICs that it took."""
        return _read(self._change)

    def begin(self, before: Running) -> None:
        _write(self._change, before)

    def end(self) -> None:
        self._change.unlink(missing_ok=True)


def _read(path: Path) -> Running | None:
    try:
        value = read_json(path, versions=range(1, _VERSION + 1))
    except FileNotFoundError:
        return None
    with _as_written(path):
        if value["boot"] != boot_id():  # a root whose run directory outlives a boot
            return None
        originals = {name: Original.from_record(one) for name, one in value["originals"].items()}
        return Running(config=NetworkConfig.from_record(value), originals=originals)


@contextmanager
def _as_written(path: Path) -> Iterator[None]:
    """Raises BrokenFile for what write_json() was not given."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BrokenFile(path=path, reason=repr(error)) from error


def _write(path: Path, running: Running) -> None:
    make_directory(path.parent)
    originals = {name: one.record() for name, one in running.originals.items()}
    write_json(path, {**running.config.record(), "originals": originals, "boot": boot_id()},
               version=_VERSION, durable=False)  # fmt: skip
