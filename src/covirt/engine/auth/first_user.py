# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The administrator that a new engine has, and the file with the first password."""

import errno
import logging
import os
import stat
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from covirt.common.errors import InvalidRequest, Unavailable
from covirt.common.files import make_directory, write_atomic
from covirt.engine.auth.passwords import Passwords, random_password
from covirt.engine.model.access import SYSTEM, Permission, User
from covirt.engine.store.store import Store

log = logging.getLogger(__name__)

NAME: Final = "admin"
DOMAIN: Final = "internal-authz"
# In a directory of root's, and in one that the unit has made read-only (ProtectSystem).
_MAY_NOT_MAKE: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_SUPER_USER: Final = "00000000-0000-0000-0000-000000000001"


class ExposedPassword(InvalidRequest):
    template = "{path} can be read by other users; remove it, or chmod 600 it when its password is still a secret"


class PasswordNotWritten(Unavailable):
    template = "the first password cannot be written to {path}: {reason}; make it an empty file of this user, 0600"


def ensure_administrator(store: Store, passwords: Passwords, path: Path) -> bool:
    """Make admin@internal when nobody has a password yet; whether it was made. A password that is in the file already
    is taken, so whoever installs may choose one, and a start that was killed half-way is simply repeated.

    Raises ExposedPassword, PasswordNotWritten.
    """
    with store.read() as session:
        if session.accounts.has_passwords():
            return False
    kept = passwords.hash(_password(path))
    with store.write() as session:
        user = session.users.find(principal=NAME, domain=DOMAIN)
        if user is None:
            user = User(id=str(uuid.uuid4()), name=NAME, principal=NAME, domain=DOMAIN, domain_entry_id=NAME)
            session.users.add(user)
            session.permissions.add(
                Permission(id=str(uuid.uuid4()), role_id=_SUPER_USER, user_id=user.id, subject=SYSTEM)
            )
        session.accounts.set_password_hash(user.id, kept, now=datetime.now(UTC))
    log.info("The administrator was made user=%s@internal password_file=%s", NAME, path)
    return True


def _password(path: Path) -> str:
    present = _read(path)
    if present:
        return present
    password = random_password()
    _write(path, f"{password}\n".encode())
    return password


def _read(path: Path) -> str:
    """What a whole line holds; of one without an end somebody was killed while writing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    with os.fdopen(descriptor) as stream:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise ExposedPassword(path=path)
        line = stream.readline()
    return line.strip() if line.endswith("\n") else ""


def _write(path: Path, data: bytes) -> None:
    try:
        make_directory(path.parent)
        write_atomic(path, data, mode=0o600)
    except OSError as error:
        if error.errno not in _MAY_NOT_MAKE:
            raise PasswordNotWritten(path=path, reason=error.strerror) from error
        _overwrite(path, data)


def _overwrite(path: Path, data: bytes) -> None:
    """The service's user may not write in /etc; the package has made an empty file for it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise PasswordNotWritten(path=path, reason=error.strerror) from error
