# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Passwords that somebody types, or that come from a file: never from the command line."""

import sys
from collections.abc import Callable
from typing import IO, Any

import click

from covirt.cli.errors import NoPasswordGiven


def password_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--password-file", metavar="FILE", type=click.File("r"), help="- is standard input.  [default: asks for it]"
    )(function)


def typed_password(what: str, file: IO[str] | None, *, again: bool = False) -> str:
    """``again``: one that is new, and asked for twice. Raises NoPasswordGiven."""
    if file is not None:
        return file.read().removesuffix("\n")
    if not sys.stdin.isatty():
        raise NoPasswordGiven
    return str(click.prompt(what, hide_input=True, confirmation_prompt=again))
