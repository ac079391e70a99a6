# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC 2.0 messages, sans-IO: https://www.jsonrpc.org/specification."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from covirt.rpc.errors import BadMessage

Json = bool | int | float | str | None | Sequence["Json"] | Mapping[str, "Json"]

VERSION: Final = "2.0"
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
INTERNAL_ERROR: Final = -32603
MAX_BATCH: Final = 100  # messages in one body
_BEFORE_VALUES: Final = (b",", b"[", b"{")
_TEXTS: Final = {
    # Vdsm's words, as all of them.
    PARSE_ERROR: (
        "Invalid JSON was received by the server. An error occurred on the server while parsing the JSON text."
    ),
    INVALID_REQUEST: "Invalid request",
    INTERNAL_ERROR: "Internal JSON-RPC error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call; without ``id`` a notification, which gets no answer."""

    method: str
    params: Json = None
    id: str | int | None = None

    def encode(self) -> bytes:
        """Raises ValueError, TypeError when the parameters are not JSON."""
        words: dict[str, Json] = {"jsonrpc": VERSION, "method": self.method}
        if self.params is not None:
            words["params"] = self.params
        if self.id is not None:
            words["id"] = self.id
        return _dump(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A result, or an error: its code and message."""

    id: str | int | None
    result: Json = None
    code: int = 0
    message: str = ""

    @property
    def failed(self) -> bool:
        return self.code != 0

    def encode(self) -> bytes:
        """Raises ValueError, TypeError when the result is not JSON."""
        if self.failed:
            return _dump({"jsonrpc": VERSION, "id": self.id, "error": {"code": self.code, "message": self.message}})
        return _dump({"jsonrpc": VERSION, "id": self.id, "result": self.result})


Message = Request | Answer | BadMessage


def parse(body: bytes, *, max_values: int | None = None) -> list[Message]:
    """The messages of a body: one, or the members of a batch, where a bad one does not spoil the others.

    Raises BadMessage when there is none, and when there are more values in it than ``max_values``: four MiB of empty
    arrays take a second to read, in which no other thread runs.
    """
    if max_values is not None and len(body) > max_values and sum(map(body.count, _BEFORE_VALUES)) > max_values:
        raise BadMessage(reason=f"it has more than {max_values} values", code=INVALID_REQUEST)
    try:
        value = _DECODER.decode(body.decode(json.detect_encoding(body)))
    except (ValueError, RecursionError) as error:
        raise BadMessage(reason="it is not JSON", code=PARSE_ERROR) from error
    if not isinstance(value, list):
        return [_message(value)]
    if not value:
        raise BadMessage(reason="the batch is empty", code=INVALID_REQUEST)
    if len(value) > MAX_BATCH:
        raise BadMessage(reason=f"the batch has more than {MAX_BATCH} messages", code=INVALID_REQUEST)
    return [_message(item) for item in value]


def refusal(error: BadMessage) -> Answer:
    """What a bad message is answered; its id is not known."""
    return failure(None, error.code, str(error))


def failure(number: str | int | None, code: int, reason: str) -> Answer:
    """An error of JSON-RPC itself, in Vdsm's form: a text, and what is known beside it."""
    details = {"reason": reason}
    return Answer(id=number, code=code, message=f"{_TEXTS[code]}: {details}")


def _message(value: Any) -> Message:
    try:
        return _checked(value)
    except BadMessage as error:
        return error


def _checked(value: Any) -> Message:
    if not isinstance(value, dict) or value.get("jsonrpc") != VERSION:
        raise BadMessage(reason=f'it is not an object with "jsonrpc": "{VERSION}"', code=INVALID_REQUEST)
    number = value.get("id")
    if number is not None and (not isinstance(number, str | int) or isinstance(number, bool)):
        raise BadMessage(reason="its id is neither a text nor a whole number", code=INVALID_REQUEST)
    if "method" in value:
        return _request(value, number)
    if "error" in value:
        return _failure(value["error"], number)
    if "result" not in value:
        raise BadMessage(reason="it has neither method nor result nor error", code=INVALID_REQUEST)
    return Answer(id=number, result=value["result"])


def _request(value: dict[str, Any], number: str | int | None) -> Request:
    if not isinstance(value["method"], str):
        raise BadMessage(reason="its method is not a text", code=INVALID_REQUEST)
    params = value.get("params")
    if params is not None and not isinstance(params, dict | list):
        raise BadMessage(reason="its params are neither an object nor an array", code=INVALID_REQUEST)
    return Request(method=value["method"], params=params, id=number)


def _failure(error: Any, number: str | int | None) -> Answer:
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(code, int) or not code:
        raise BadMessage(reason="its error has no code", code=INVALID_REQUEST)
    return Answer(id=number, code=int(code), message=str(error.get("message", "")))


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large")
    return number


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _dump(value: Json) -> bytes:
    return _ENCODER.encode(value).encode()


# Made once: json.loads and json.dumps make theirs anew for each message.
_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
