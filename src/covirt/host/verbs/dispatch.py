# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From a verb's name and parameters to its answer: find, check, run; every failure has a code.

One of the few places that catch everything: a bug becomes an answer with an incident id, and its traceback goes to
the log.
"""

import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from covirt.host.verbs.complaint import complaint
from covirt.host.verbs.faults import expected, refusal_of
from covirt.hostapi.errors import TEXTS, CallRefused, Code
from covirt.hostapi.json import JsonValue
from covirt.hostapi.table import VERBS
from covirt.hostapi.verb import Params, Verb

log = logging.getLogger(__name__)

_LONGEST_NAME = 100  # of a method that there is not, in the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """Who calls, and as part of what: ``flow_id`` is the engine's correlation id."""

    client: str
    flow_id: str = ""


Handler = Callable[[Any, CallContext], JsonValue]


class VerbClass(Protocol):
    """The verbs of one noun."""

    def handlers(self) -> Mapping[str, Handler]:
        """By the verb's name; each takes the verb's params model."""
        ...


class Dispatcher:
    """Answers calls; thread-safe. As Vdsm does, it refuses all of them until set_ready()."""

    def __init__(self, classes: Iterable[VerbClass]) -> None:
        self._handlers: dict[str, tuple[Verb, Handler]] = {}
        self._ready = False
        for name, handler in (item for one in classes for item in one.handlers().items()):
            assert name not in self._handlers, f"{name} has two handlers"  # noqa: S101 - a mistake in a class
            self._handlers[name] = (VERBS[name], handler)

    def set_ready(self) -> None:
        """The host has recovered."""
        self._ready = True

    @property
    def names(self) -> Iterable[str]:
        """Of the verbs that are answered."""
        return self._handlers.keys()

    def is_inline(self, method: str) -> bool:
        """Whether it is answered at once, so that no worker is needed. What there is no such verb for is, too."""
        found = self._handlers.get(method)
        return found is None or found[0].inline

    def is_quick(self, method: str) -> bool:
        """Whether the verb may have a reserved worker."""
        found = self._handlers.get(method)
        return found is None or found[0].quick

    def call(self, method: str, params: object, context: CallContext) -> JsonValue:
        """``params``: an object, or an array in the order of the verb's parameters. Raises CallRefused."""
        began = time.monotonic()
        try:
            verb, handler = self._find(method)
            answer = handler(_checked(verb, params), context)
        except CallRefused as refusal:
            self._log(method, context, began, refusal=refusal)
            raise
        except Exception as error:
            known = expected(error)
            if known is not None:
                translated = refusal_of(known)
                self._log(method, context, began, refusal=translated)
                raise translated from error
            incident = secrets.token_hex(4)
            log.exception("A verb failed method=%s incident=%s", method, incident)
            reason = f"the log of covirt-host knows more of incident {incident}"
            raise CallRefused(Code.INTERNAL_ERROR, _text(Code.INTERNAL_ERROR, reason=reason)) from error
        self._log(method, context, began, changes=verb.changes)
        return True if answer is None else answer

    def _find(self, method: str) -> tuple[Verb, Handler]:
        if not self._ready:
            raise CallRefused(Code.RECOVERING, TEXTS[Code.RECOVERING])
        found = self._handlers.get(method)
        if found is None:
            raise CallRefused(Code.NO_SUCH_METHOD, _text(Code.NO_SUCH_METHOD, method=method[:_LONGEST_NAME]))
        return found

    @staticmethod
    def _log(
        method: str, context: CallContext, began: float, *, refusal: CallRefused | None = None, changes: bool = False
    ) -> None:
        log.log(logging.INFO if refusal or changes else logging.DEBUG,
                "Call method=%s client=%s%s code=%d ms=%.1f%s", method, context.client,
                f" flow_id={context.flow_id}" if context.flow_id else "",
                refusal.code if refusal else 0, (time.monotonic() - began) * 1000,
                f" message={refusal.message!r}" if refusal else "")  # fmt: skip


def _text(code: Code, **details: str) -> str:
    """As Vdsm writes them: a text, and what is known beside it."""
    return f"{TEXTS[code]}: {details}"


def _checked(verb: Verb, params: object) -> Params:
    if isinstance(params, list):
        names = [field.alias or name for name, field in verb.params.model_fields.items()]
        if len(params) > len(names):
            reason = f"there are {len(params)} parameters, and {verb.name} has {len(names)}"
            raise CallRefused(Code.INTERNAL_ERROR, _text(Code.INTERNAL_ERROR, reason=reason))
        params = dict(zip(names, params, strict=False))
    _require_text(params)
    try:
        return verb.params.model_validate({} if params is None else params)
    except ValidationError as error:
        # Vdsm answers a missing argument with its internal error, and clients expect that. What is in an argument
        # it finds out in the verb itself.
        first = error.errors()[0]
        is_absent = first["type"] == "missing" and (len(first["loc"]) == 1 or verb.malformed is Code.INVALID_PARAMS)
        code = Code.INTERNAL_ERROR if is_absent else verb.malformed
        raise CallRefused(code, _text(code, reason=complaint(error))) from error


def _require_text(params: object) -> None:
    """JSON can write half a character, and nothing that comes after could: no file, no program."""
    try:
        json.dumps(params, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        reason = "a text in it holds half a character (a surrogate without its other half), or it is nested too deep"
        raise CallRefused(Code.INVALID_PARAMS, _text(Code.INVALID_PARAMS, reason=reason)) from None
