# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How the tables of procedures are written, see ``procedures``."""

from collections.abc import Callable
from typing import TypeVar

from covirt.wire.framing import REMOTE_PROGRAM
from covirt.wire.protocol import Access, Procedure

A = TypeVar("A")
R = TypeVar("R")


def read(
    number: int,
    name: str,
    args: type[A],
    ret: type[R],
    *,
    priority: bool = False,
    write_if: Callable[[A], bool] | None = None,
) -> Procedure[A, R]:
    """A procedure that read-only clients may call too, unless ``write_if`` tells otherwise of its arguments."""
    return Procedure(
        number=number, name=name, args=args, ret=ret, access=Access.READ, priority=priority, write_if=write_if
    )


def write(
    number: int,
    name: str,
    args: type[A],
    ret: type[R],
    *,
    priority: bool = False,
    stream: bool = False,
    slow_if: Callable[[A], bool] | None = None,
    program: int = REMOTE_PROGRAM,
) -> Procedure[A, R]:
    """A procedure that changes something, of libvirt's own program or of ``program``."""
    return Procedure(
        number=number,
        name=name,
        args=args,
        ret=ret,
        access=Access.WRITE,
        priority=priority,
        stream=stream,
        slow_if=slow_if,
        program=program,
    )
