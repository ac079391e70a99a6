# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a procedure of libvirt's remote protocol is; the table of them is in ``procedures``."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from covirt.wire.codec import codec_of
from covirt.wire.errors import WireError
from covirt.wire.framing import REMOTE_PROGRAM
from covirt.wire.xdr import Codec

A = TypeVar("A")
R = TypeVar("R")


class Access(StrEnum):
    """Who may call: READ also works over a read-only connection."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure(Generic[A, R]):
    """One procedure. ``args`` and ``ret`` are wire_structs, or NoneType for void.

    ``priority`` procedures are quick and also run in workers reserved for them, unless ``slow_if`` tells of arguments
    that make them wait. ``write_if`` tells of arguments that need a writable connection although the access is READ.
    ``stream`` procedures open a stream with their serial.
    """

    number: int
    name: str
    args: type[A]
    ret: type[R]
    access: Access
    priority: bool = False
    stream: bool = False
    write_if: Callable[[A], bool] | None = None
    slow_if: Callable[[A], bool] | None = None
    program: int = REMOTE_PROGRAM

    @property
    def args_codec(self) -> Codec[A]:
        return codec_of(self.args)

    @property
    def ret_codec(self) -> Codec[R]:
        return codec_of(self.ret)

    @property
    def api_name(self) -> str:
        """Roughly the name of libvirt's C function, as people search for it: virDomainGetInfo."""
        return api_name(self.name)

    def needs_write(self, args: A) -> bool:
        """Tell whether a read-only connection must be refused."""
        return self.access is Access.WRITE or (self.write_if is not None and self.write_if(args))

    def is_quick(self, payload: bytes) -> bool:
        """Whether a call with these arguments may have a reserved worker."""
        if not self.priority or self.slow_if is None:
            return self.priority
        try:
            return not self.slow_if(self.args_codec.decode(payload))
        except WireError:
            return True  # the answer is an error, at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Generic[A]):
    """A message the server sends by itself."""

    number: int
    name: str
    body: type[A]
    program: int = REMOTE_PROGRAM

    @property
    def codec(self) -> Codec[A]:
        return codec_of(self.body)


# The table forgets the types that each procedure knows; whoever uses it has only bytes and objects anyway.
AnyProcedure = Procedure[Any, Any]
AnyMessage = Message[Any]

_UPPER = {"xml": "XML", "uuid": "UUID", "id": "ID", "os": "OS", "uri": "URI", "cpu": "CPU", "dhcp": "DHCP"}


def api_name(name: str) -> str:
    """``domain_get_xml_desc`` -> ``virDomainGetXMLDesc``."""
    return "vir" + "".join(_UPPER.get(word, word.capitalize()) for word in name.split("_"))
