# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a run's leases: files of its run directory, two for each interface that asks by DHCP.

dhcp/NAME.lease   what the DHCP client heard, appended by its events; NAME is the interface's host end
dhcp/NAME.json    what the interface was given for it; written before it is given, so that a killed daemon's
                  successor knows what to take away
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from covirt.common.dhcp_lease import Lease
from covirt.common.errors import InvalidRequest
from covirt.common.files import make_directory, read_json, write_json
from covirt.virtocid.driver.domain_xml.model import Interface
from covirt.virtocid.driver.run import Run

_VERSION: Final = 1
_FILE_LIMIT_BYTES: Final = 1 << 20  # the client cannot write more
_KEPT_BYTES: Final = 1 << 16  # a longer file is emptied once it is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What an interface has by DHCP. ``addresses``, with prefix: all that it may have of it at this moment."""

    lease: Lease | None = None
    addresses: tuple[str, ...] = ()


def dhcp_interfaces(run: Run) -> Iterator[tuple[int, Interface]]:
    """The interfaces of a run that ask by DHCP, with their numbers."""
    for number, interface in enumerate(run.config.interfaces):
        if run.config.asks_dhcp(interface):
            yield number, interface


def lease_file(run: Run, name: str) -> Path:
    return run.directory / "dhcp" / f"{name}.lease"


def read_lease_file(path: Path) -> bytes:
    """What the client has said so far, or since the file was last emptied, which is done here."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return b""
    try:
        data = os.pread(descriptor, _FILE_LIMIT_BYTES, 0)
        if len(data) > _KEPT_BYTES and os.fstat(descriptor).st_size == len(data):
            os.ftruncate(descriptor, 0)  # the client appends
    finally:
        os.close(descriptor)
    return data


def given(run: Run, name: str) -> Given:
    """What the interface was given; nothing when that is not on record."""
    try:
        value = read_json(_record(run, name), versions=range(1, _VERSION + 1))
        lease = value["lease"]
        return Given(lease=Lease.from_record(lease) if lease else None, addresses=tuple(value["addresses"]))
    except (FileNotFoundError, InvalidRequest, KeyError, TypeError, ValueError):
        return Given()


def record_given(run: Run, name: str, what: Given) -> None:
    make_directory(run.directory / "dhcp", mode=0o700)
    value = {"lease": what.lease and asdict(what.lease), "addresses": what.addresses}
    write_json(_record(run, name), value, version=_VERSION, durable=False)


def forget_given(run: Run, name: str) -> None:
    """For an interface that went away; absent is fine."""
    for path in (_record(run, name), lease_file(run, name)):
        with suppress(FileNotFoundError):
            path.unlink()


def _record(run: Run, name: str) -> Path:
    return run.directory / "dhcp" / f"{name}.json"
