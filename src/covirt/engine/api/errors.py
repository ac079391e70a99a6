# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a request to the API."""

from covirt.common.errors import InvalidRequest, NotFound, Unsupported

_LONGEST_SHOWN = 80


def printable(text: str) -> str:
    """A client's text as it may stand in a sentence: short, and ASCII without control characters."""
    return ascii(text)[1:-1][:_LONGEST_SHOWN]


class BadBody(InvalidRequest):
    template = "The request's body cannot be read: {reason}."


class WrongElement(InvalidRequest):
    template = "The request's body is a '{found}' where a '{expected}' is expected."


class BadValue(InvalidRequest):
    template = "'{text}' is not a valid {kind} for '{name}'{hint}."


class BodyTooLarge(InvalidRequest):
    template = "The request's body has more than {limit_bytes} bytes."


class UnknownVersion(InvalidRequest):
    template = "Version '{version}' of the API is not supported; version 4 is."


class BadFollow(InvalidRequest):
    template = "'{name}' of 'follow' is not a link of a {type}; there are: {allowed}."


class BadParameter(InvalidRequest):
    template = "Parameter '{name}' is '{value}', and must be {expected}."


class BadIdentifier(InvalidRequest):
    template = "'{text}' is not a UUID."


class NoSuchResource(NotFound):
    template = "There is no resource '{path}'."


class NoSuchObject(NotFound):
    template = "Entity not found: {type} with id '{id}'."


class MethodNotAllowed(Unsupported):
    """``allowed`` are the methods that the path has."""

    template = "The resource '{path}' does not answer {method}; it answers {allowed}."


class NotAcceptable(InvalidRequest):
    template = "The API answers application/xml and application/json, not '{accept}'."


class WrongMediaType(InvalidRequest):
    template = "The API reads application/xml and application/json, not '{media_type}'."


class NotServed(InvalidRequest):
    """Of an endpoint that is there to be listed only (tier 3)."""

    template = "covirt has no {what}; nothing can be added."


class Incomplete(InvalidRequest):
    """As oVirt says it: Vm [name] required for add."""

    template = "{type} [{names}] required for {action}"


class ActionRefused(InvalidRequest):
    template = "Cannot {action} {type}. {reason}"
