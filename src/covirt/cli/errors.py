# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the command line says no to by itself."""

from covirt.common.errors import Conflict, InvalidRequest, NotFound, Unavailable


class BadFilter(InvalidRequest):
    template = "--filter {text!r} is not NAME=VALUE; names here are: {names}"


class BadOption(InvalidRequest):
    """Fields: option, text, reason."""

    template = "{option} {text!r}: {reason}"


class Unsaid(InvalidRequest):
    """Fields: option, names."""

    template = "say which by {option}: {names}"


class NoneOfThem(NotFound):
    """Fields: noun, option."""

    template = "there is no {noun} that you may use; {option} names one"


class NoPasswordGiven(InvalidRequest):
    template = (
        "there is no terminal to ask for the password; give it with --password-file FILE, or - for standard input"
    )


class NoValueGiven(InvalidRequest):
    template = "there is no terminal to ask for the value; give it as FILE, or - for standard input"


class NotConfirmed(InvalidRequest):
    """Fields: what, option."""

    template = "{what}, and there is no terminal to ask whether it may be; give {option}"


class NotShared(NotFound):
    """Fields: name, user."""

    template = "{name} is not shared with {user}; covirt secret show {name} tells with whom it is"


class HasNoRole(NotFound):
    """Fields: who, role, place."""

    template = "{who} has no role {role} on {place}; covirt permission list tells who has which"


class WrongKind(NotFound):
    """Fields: name, kind, other, noun."""

    template = "{name} is a {kind}; use covirt {noun}"


class TookTooLong(Unavailable):
    """Fields: what, seconds, hint."""

    template = "{what} takes longer than {seconds:.0f} s and goes on; {hint}"


class StreamOver(Unavailable):
    """Fields: what, reason."""

    template = "{what} has ended: {reason}"


class NoTerminal(InvalidRequest):
    template = "{what} needs a terminal, and standard input is none"


class NotCopied(Conflict):
    """Fields: what, reason."""

    template = "{what} is not copied: {reason}"


class JobFailed(Conflict):
    """Fields: what, reason."""

    template = "{what} has failed: {reason}"
