# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Errors are facts: a class per fact, its fields, and one sentence that says what, why and what to do.

The seven classes below ``Error`` are meanings. Every wire (libvirt, JSON-RPC, REST) translates a meaning,
or a more precise class, in exactly one table of its own; nothing else looks at the class.
"""

from typing import ClassVar


class Error(Exception):
    """An expected failure. ``template`` is a sentence with ``{field}`` places, filled from keywords."""

    template: ClassVar[str] = "{message}"

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        super().__init__(self.template.format(**fields))

    def __getattr__(self, name: str) -> object:
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None


class NotFound(Error):
    """The object named in the request does not exist."""


class Conflict(Error):
    """The object exists, but its present state does not allow the request."""


class InvalidRequest(Error):
    """The request can never succeed as it is written."""


class Unsupported(Error):
    """The request makes sense elsewhere, but not for this kind of object or on this host."""


class Denied(Error):
    """The caller may not do this."""


class Unavailable(Error):
    """Something the request needs does not answer now; trying again may help."""


class CommandFailed(Error):
    """A program we started ended badly. Fields: program, status (exit code, or minus the signal), stderr."""

    template = "{program} failed with status {status}: {stderr}"
