# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What virtocid-exec and virtocid-logs share: the daemon's socket, the domain that is meant, and complaints."""

import sys
from pathlib import Path
from typing import Final
from uuid import UUID

from covirt.common.errors import Denied, Error, NotFound, Unavailable
from covirt.virtocid.client import CallFailed, ClientStream, WireClient
from covirt.wire import procedures as proc
from covirt.wire import structs as s
from covirt.wire import structs_domain as d
from covirt.wire.constants import ErrorCode

OWN_FAILURE: Final = 125  # as Podman and Docker: the command's own statuses are below, but for 126 and 127
_SOCKET: Final = "run/libvirt/virtocid-sock"
_ANSWER_SECONDS: Final = 60.0


class DaemonNotRunning(Unavailable):
    template = "virtocid does not answer at {path}: {reason}; is it running? (--root chooses another installation)"


class SocketForbidden(Denied):
    template = "you may not use {path}: {reason}; ask for membership in its group, or become root"


class DaemonGone(Unavailable):
    template = "virtocid ended; whatever the command was doing was ended with it"


class NoSuchDomain(NotFound):
    template = "there is no domain {text!r}; virsh -c oci:///system list --all shows those there are"


def connect(root: Path) -> WireClient:
    """An open connection. Raises DaemonNotRunning, SocketForbidden."""
    path = root / _SOCKET
    try:
        return WireClient(path, timeout_seconds=_ANSWER_SECONDS).open()
    except PermissionError as error:
        raise SocketForbidden(path=path, reason=error.strerror) from error
    except OSError as error:
        raise DaemonNotRunning(path=path, reason=error.strerror or error) from error
    except EOFError as error:
        raise DaemonNotRunning(path=path, reason="it closed the connection") from error


def open_channel(client: WireClient, domain: str, channel: str) -> ClientStream:
    """Raises NoSuchDomain, CallFailed, DaemonGone."""
    try:
        args = d.DomainOpenChannelArgs(dom=_find(client, domain), name=channel, flags=0)
        return ClientStream(client, proc.DOMAIN_OPEN_CHANNEL, args)
    except (EOFError, OSError) as error:
        raise DaemonGone() from error


def _find(client: WireClient, text: str) -> s.RemoteDomain:
    """By id, UUID or name, in virsh's order."""
    try:
        if text.isascii() and text.isdigit() and int(text) < 1 << 31:
            try:
                return client.call(proc.DOMAIN_LOOKUP_BY_ID, d.DomainLookupByIdArgs(id=int(text))).dom
            except CallFailed as error:
                _require_absent(error)
        uuid = _uuid(text)
        if uuid is not None:
            try:
                return client.call(proc.DOMAIN_LOOKUP_BY_UUID, s.UuidArgs(uuid=uuid)).dom
            except CallFailed as error:
                _require_absent(error)
        return client.call(proc.DOMAIN_LOOKUP_BY_NAME, s.NameArgs(name=text)).dom
    except CallFailed as error:
        _require_absent(error)
        raise NoSuchDomain(text=text) from error


def _require_absent(error: CallFailed) -> None:
    if error.error.code != ErrorCode.NO_DOMAIN:
        raise error


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def complain(program: str, error: Error | str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"{program}: {str(error).removeprefix('Requested operation is not valid: ')}\n")
    sys.stderr.flush()
