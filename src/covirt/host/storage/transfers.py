# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tickets: the right of whoever knows one to read or write one volume through the imageio daemon.

A ticket's address must be a volume below the storage repository, or one of our NBD servers: the daemon opens what it
is told. The ids are kept (in /run, for root only), so that the daemon can be ended with covirt-host when it is idle.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from covirt.common.errors import Denied, Error
from covirt.common.files import BrokenFile, UnknownFileVersion, read_json, write_json
from covirt.common.root import Root
from covirt.common.undo import undo_on_failure
from covirt.host.storage.imageio import (
    ImageDaemonRefused,
    ImageDaemonSilent,
    ImageioControl,
    ImageioDaemon,
    NoImageDaemon,
)
from covirt.host.storage.nbd import NbdServers
from covirt.host.storage.operation import checked_id
from covirt.host.storage.storage_paths import is_uuid
from covirt.host.storage.ticket_holds import TicketHolds

log = logging.getLogger(__name__)

_REPOSITORY: Final = "rhev/data-center"
_MOUNTS: Final = "mnt"
_VERSION: Final = 1
_SWEEP_SECONDS: Final = 30.0
_GONE: Final = 404


class TicketAddressRefused(Denied):
    template = (
        "a ticket may be for a volume of a storage domain on this host (prepare it and give its path) or for one of "
        "its NBD servers, not for {url}"
    )


class Transfers:
    """Tickets of this host. What each is for is held for it until it is removed, has expired, or is lost with the
    daemon."""

    def __init__(self, *, root: Root, directory: Path, daemon: ImageioDaemon, servers: NbdServers) -> None:
        self._repository = root.path / _REPOSITORY
        self._file = directory / "tickets.json"
        self._daemon = daemon
        self._servers = servers
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._holds: TicketHolds | None = None
        self._adding = threading.Lock()  # a ticket that is just being added is not yet lost

    def join(self, holds: TicketHolds) -> None:
        """Before start()."""
        self._holds = holds

    def start(self) -> None:
        """Remember the tickets of an earlier life of the agent."""
        with contextlib.suppress(FileNotFoundError, BrokenFile, UnknownFileVersion):
            self._ids = {checked_id(text) for text in read_json(self._file, versions=range(1, 2))["tickets"]}
        if self._daemon.is_ours and self._holds is not None:  # those of another one's daemon nobody has kept
            self._forget_lost()
            self._held.keep_only(self._ids)

    def stop(self) -> None:
        """End the daemon, unless somebody transfers something."""
        control = self._control_or_none()
        if control is None:
            return
        using = self._using(control)
        if using:
            log.info("Transfers go on tickets=%d", using)
            return
        self._daemon.end()
        self._file.unlink(missing_ok=True)

    @property
    def count(self) -> int:
        """Of tickets that were not removed."""
        return len(self._ids)

    def add(self, ticket: Mapping[str, Any]) -> None:
        """Raises TicketAddressRefused, NoImageDaemon, ImageDaemonSilent, ImageDaemonRefused, and what
        TicketHolds.hold raises."""
        ticket_id = checked_id(str(ticket["uuid"]), "uuid")
        if not self.may_serve(str(ticket["url"])):
            raise TicketAddressRefused(url=ticket["url"])
        with self._adding, undo_on_failure() as undo:
            self._renew()
            self._forget_lost()
            is_new = ticket_id not in self._ids
            path = self._volume_path(str(ticket["url"]))
            if path is not None:
                is_held = self._held.hold(
                    ticket_id, path, size_bytes=int(ticket["size"]), writes="write" in ticket["ops"]
                )
                if is_held and is_new:
                    undo.add("let the volume go", lambda: self._held.let_go(ticket_id))
            control = self._control()
            self._remember(ticket_id)  # first: a killed agent's successor must not end the daemon under it
            try:
                control.put(ticket)
            except ImageDaemonRefused:
                if is_new:
                    self._forget(ticket_id)
                raise
            except ImageDaemonSilent:  # it may have the ticket all the same: until it is removed, or has expired
                undo.keep()
                raise
        transfer = f" transfer_id={ticket['transfer_id']}" if ticket.get("transfer_id") else ""
        log.info("Ticket added url=%s ops=%s%s", ticket["url"], ",".join(ticket["ops"]), transfer)

    def get(self, ticket_id: str) -> Mapping[str, Any]:
        return self._control().get(ticket_id)

    def extend(self, ticket_id: str, *, timeout_seconds: int) -> None:
        self._control().extend(ticket_id, timeout_seconds=timeout_seconds)

    def remove(self, ticket_id: str) -> None:
        """One that is gone already is fine; one in use is refused by the daemon after a while."""
        ticket_id = checked_id(ticket_id)
        control = self._daemon.control(start=False)
        if control is not None:
            control.remove(ticket_id)
        self._forget(ticket_id)

    def may_serve(self, url: str) -> bool:
        """Whether the daemon may open this address."""
        return self._servers.is_address(url) or self._volume_path(url) is not None

    def sweep(self) -> None:
        """Forget tickets that have expired, or are lost with their daemon."""
        with self._adding:
            self._forget_lost()
            control = self._control_or_none()
            for ticket_id in tuple(self._ids) if control is not None else ():
                assert control is not None  # noqa: S101
                with contextlib.suppress(ImageDaemonSilent):
                    if not _is_alive(control, ticket_id):
                        with contextlib.suppress(ImageDaemonRefused):
                            control.remove(ticket_id)
                        self._forget(ticket_id)
                        log.info("A ticket has expired, and what it was for is free again")

    @property
    def _held(self) -> TicketHolds:
        assert self._holds is not None, "join() comes before start()"  # noqa: S101
        return self._holds

    def _volume_path(self, url: str) -> Path | None:
        """Of a volume of the storage repository."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        if parts.scheme != "file" or parts.netloc or parts.query or parts.fragment or "%" in parts.path:
            return None
        path = Path(parts.path)
        inside = path.is_relative_to(self._repository) and _is_volume(path.relative_to(self._repository).parts)
        return path if inside else None

    def _renew(self) -> None:
        """A daemon with an old certificate is ended as soon as nobody uses it."""
        if self._daemon.is_outdated():
            control = self._control_or_none()
            if control is not None and not self._using(control):
                self._daemon.end()

    def _forget_lost(self) -> None:
        """Tickets are in the daemon's memory: with one that died they are gone, and whoever asks is told."""
        if self._daemon.is_ours and self._control_or_none() is None:
            for ticket_id in tuple(self._ids):
                self._forget(ticket_id)

    def _using(self, control: ImageioControl) -> int:
        """How many tickets are still good; of a daemon that says nothing, none."""
        with contextlib.suppress(ImageDaemonSilent):
            return sum(_is_alive(control, ticket_id) for ticket_id in tuple(self._ids))
        return 0

    def _control(self) -> ImageioControl:
        control = self._daemon.control(start=True)
        assert control is not None, "it was started"  # noqa: S101
        return control

    def _control_or_none(self) -> ImageioControl | None:
        if not self._daemon.is_ours:
            return None
        try:
            return self._daemon.control(start=False)
        except NoImageDaemon:
            return None

    def _remember(self, ticket_id: str) -> None:
        with self._lock:
            self._ids = self._ids | {ticket_id}
            self._write()

    def _forget(self, ticket_id: str) -> None:
        """First it holds nothing any more: a killed agent's successor has nothing to give back then."""
        self._held.let_go(ticket_id)
        with self._lock:
            self._ids = self._ids - {ticket_id}
            self._write()

    def _write(self) -> None:
        if self._daemon.is_ours and self._file.parent.exists():
            write_json(self._file, {"tickets": sorted(self._ids)}, version=_VERSION, durable=False)


class TicketSweeper:
    """Looks through the tickets now and then, in a thread."""

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tickets", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_SWEEP_SECONDS):
            try:
                self._transfers.sweep()
            except Error as error:
                log.warning("Tickets cannot be looked through, which is tried again reason=%s", error)
            except Exception:  # the top of a thread: there is a next time
                log.exception("Looking through tickets failed")


def _is_volume(parts: tuple[str, ...]) -> bool:
    """``mnt/NAME/DOMAIN/images/IMAGE/VOLUME`` or ``POOL/DOMAIN/images/IMAGE/VOLUME``."""
    if ".." in parts or parts[-3:-2] != ("images",):
        return False
    if len(parts) == 6:
        return parts[0] == _MOUNTS and all(is_uuid(part) for part in (parts[2], *parts[4:]))
    return len(parts) == 5 and all(is_uuid(part) for part in (*parts[:2], *parts[3:]))


def _is_alive(control: ImageioControl, ticket_id: str) -> bool:
    """Raises ImageDaemonSilent."""
    try:
        ticket = control.get(ticket_id)
    except ImageDaemonRefused as error:
        return error.fields["status"] != _GONE
    # The daemon counts by the clock of times(2), which begins elsewhere than CLOCK_MONOTONIC.
    return bool(ticket.get("active")) or ticket.get("expires", 0) > os.times().elapsed
