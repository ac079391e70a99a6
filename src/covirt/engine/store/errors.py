# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the store has to say when it cannot."""

from covirt.common.errors import Conflict, InvalidRequest, NotFound, Unavailable


class NoSuchObject(NotFound):
    """Fields: noun (as in "Vm"), id."""

    template = "There is no {noun} {id}."


class NameInUse(Conflict):
    """Fields: noun, name."""

    template = "The name {name} is in use by another {noun}; choose another one."


class StillInUse(Conflict):
    """Fields: noun, id."""

    template = "{noun} {id} is still in use; remove what uses it first."


class ObjectLocked(Conflict):
    """Fields: reason, as in "VM web is being started"."""

    template = "Related operation is currently in progress: {reason}. Please try again later."


class BadReference(InvalidRequest):
    """Fields: noun."""

    template = "A {noun} cannot refer to what does not exist; look at the ids in the request."


class UnfitValue(InvalidRequest):
    template = (
        "A value in the request is one that the database cannot hold: too long, too large, or with a zero byte."
    )


class DatabaseBusy(Unavailable):
    template = "The database is busy for too long; try again."


class DatabaseUnreachable(Unavailable):
    """Fields: reason."""

    template = "The database does not answer: {reason}. Start it, or mend [database] url."


class DatabaseTooNew(InvalidRequest):
    """Fields: revision."""

    template = "The database was written by a newer covirt-engine (revision {revision}); install that one."
