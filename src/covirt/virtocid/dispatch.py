# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a call to the bytes of its answer: find, decode, check, run, encode; every failure is an answer.

One of the few places that catch everything: a bug in a handler becomes an error with an incident id, and its
traceback goes to the log.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from covirt.common.errors import Error
from covirt.virtocid.errors import RemoteFailure
from covirt.virtocid.streams import Endpoint
from covirt.wire.codec import codec_of
from covirt.wire.constants import ErrorCode, ErrorDomain
from covirt.wire.errors import Unencodable, WireError
from covirt.wire.framing import MAX_PAYLOAD_BYTES, REMOTE_PROGRAM, Frame
from covirt.wire.procedures import PROCEDURES
from covirt.wire.protocol import Access, AnyProcedure, Procedure
from covirt.wire.structs import RemoteError

log = logging.getLogger(__name__)

A = TypeVar("A")
R = TypeVar("R")

_MESSAGE_CHARACTERS: Final = 65536  # an error is read by people
_ERROR_CODEC: Final = codec_of(RemoteError)

Translate = Callable[[Error], RemoteError]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFacts:
    """Who is at the other end, by the kernel's word (SO_PEERCRED) and the client's own (the connection name)."""

    number: int  # counts connections since the start
    uid: int
    gid: int
    pid: int
    readonly: bool
    connection_name: str
    unprivileged: bool = False  # came over the socket that is open to everybody, and is not root


class Context:
    """What a handler may know and do beside its arguments; one per call."""

    __slots__ = ("client", "endpoint", "procedure")

    def __init__(self, *, client: ClientFacts, procedure: AnyProcedure) -> None:
        self.client = client
        self.procedure = procedure
        self.endpoint: Endpoint | None = None

    @property
    def readonly(self) -> bool:
        """Secrets must be blanked, and nothing changed, over such a connection."""
        return self.client.readonly

    def open_stream(self, endpoint: Endpoint) -> None:
        """Couple ``endpoint`` with the caller's stream once this call has been answered.

        When the call fails after all, or the client is gone, the endpoint gets on_abort() and never start().
        """
        assert self.procedure.stream, f"{self.procedure.name} has no stream"  # noqa: S101 - a mistake in a handler
        assert self.endpoint is None, "one stream a call"  # noqa: S101
        self.endpoint = endpoint


Handler = Callable[[Context, A], R]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A procedure that is answered "not supported": the C function clients call, and the reason in words.

    ``applicable``: it is about domains of this connection, so that one could expect it here.
    """

    function: str
    reason: str
    applicable: bool

    def __str__(self) -> str:
        return f"{self.function} ({self.reason})"


class HandlerTable:
    """Handlers by procedure; the types of arguments and result are checked where a handler is added."""

    def __init__(self) -> None:
        self._handlers: dict[tuple[int, int], tuple[AnyProcedure, Handler[Any, Any]]] = {}
        self._refusals: dict[tuple[int, int], Refusal] = {}

    def add(self, procedure: Procedure[A, R], handler: Handler[A, R]) -> None:
        key = (procedure.program, procedure.number)
        assert key not in self._handlers, f"{procedure.name} has two handlers"  # noqa: S101
        self._handlers[key] = (procedure, handler)

    def handles(self, procedure: Procedure[A, R]) -> Callable[[Handler[A, R]], Handler[A, R]]:
        """Decorate a handler."""

        def register(handler: Handler[A, R]) -> Handler[A, R]:
            self.add(procedure, handler)
            return handler

        return register

    def refuse(
        self, number: int, function: str, reason: str, *, program: int = REMOTE_PROGRAM, applicable: bool = True
    ) -> None:
        """Answer "not supported" with the C function's name and a reason in words."""
        key = (program, number)
        assert key not in self._handlers and key not in self._refusals, f"{function} is answered"  # noqa: S101, PT018
        self._refusals[key] = Refusal(function=function, reason=reason, applicable=applicable)

    def refusal(self, program: int, number: int) -> Refusal | None:
        """What refuse() was told of a procedure."""
        return self._refusals.get((program, number))

    def find(self, program: int, number: int) -> tuple[AnyProcedure, Handler[Any, Any]] | None:
        return self._handlers.get((program, number))

    def __len__(self) -> int:
        return len(self._handlers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An answer: a reply's bytes or an error's, and the stream to open after it."""

    payload: bytes
    failed: bool = False
    endpoint: Endpoint | None = None


class Dispatcher:
    """Answers calls out of one table. Thread-safe; perform() runs in whichever thread calls it."""

    def __init__(self, *, handlers: HandlerTable, translate: Translate) -> None:
        self._handlers = handlers
        self._translate = translate
        self._reported: set[tuple[int, int]] = set()

    def is_priority(self, frame: Frame) -> bool:
        """Whether the call is quick, and may have a worker kept for such calls."""
        entry = self._handlers.find(frame.program, frame.procedure)
        return entry is None or entry[0].is_quick(frame.payload)

    def may_wait(self, frame: Frame) -> bool:
        """Whether a call that is quick as a rule may have to wait: for another change of its domain, or its end."""
        entry = self._handlers.find(frame.program, frame.procedure)
        return entry is not None and entry[0].access is Access.WRITE

    def perform(self, frame: Frame, client: ClientFacts) -> Outcome:
        """Answer one call with a handler of the table. Never raises."""
        entry = self._handlers.find(frame.program, frame.procedure)
        if entry is None:
            return self._unsupported(frame)
        procedure, handler = entry
        context = Context(client=client, procedure=procedure)
        return self.answer(procedure, frame.payload, context, lambda args: handler(context, args))

    def answer(self, procedure: Procedure[A, R], payload: bytes, context: Context, run: Callable[[A], R]) -> Outcome:
        """Decode, check for read-only, run, encode. Never raises."""
        try:
            args = procedure.args_codec.decode(payload)
            if context.readonly and procedure.needs_write(args):
                raise RemoteFailure(_forbidden(procedure))
            reply = procedure.ret_codec.encode(run(args))
            if len(reply) > MAX_PAYLOAD_BYTES:
                raise Unencodable(reason=f"it has {len(reply)} bytes")
            return Outcome(payload=reply, endpoint=context.endpoint)
        except Error as error:
            outcome = self._expected(procedure, error)
        except Exception:  # noqa: BLE001 - an edge: whatever a handler does wrong, the client gets an answer
            outcome = _incident(procedure)
        return Outcome(payload=outcome.payload, failed=True, endpoint=context.endpoint)

    def _expected(self, procedure: AnyProcedure, error: Error) -> Outcome:
        if isinstance(error, RemoteFailure):
            answer = error.error
        elif isinstance(error, WireError):
            code = ErrorCode.INTERNAL_ERROR if isinstance(error, Unencodable) else ErrorCode.RPC
            answer = RemoteError(code=code, domain=ErrorDomain.RPC, message=str(error))
        else:
            try:
                answer = self._translate(error)
            except Exception:  # noqa: BLE001 - the same edge
                return _incident(procedure)
        log.debug("Call failed procedure=%s code=%d message=%s", procedure.name, answer.code, answer.message)
        return failure(answer)

    def _unsupported(self, frame: Frame) -> Outcome:
        key = (frame.program, frame.procedure)
        known = PROCEDURES.get(key)
        refusal = self._handlers.refusal(*key)
        name = str(refusal or "") or (
            known.api_name if known else f"procedure {frame.procedure} of program {frame.program:#x}"
        )
        if key not in self._reported and len(self._reported) < 1000:
            self._reported.add(key)
            log.info(
                "A client asked for what is not supported procedure=%s", refusal or (known.name if known else name)
            )
        return failure(
            RemoteError(
                code=ErrorCode.NO_SUPPORT,
                domain=ErrorDomain.NONE,
                message=f"this function is not supported by the connection driver: {name}",
            )
        )


def _forbidden(procedure: AnyProcedure) -> RemoteError:
    return RemoteError(
        code=ErrorCode.OPERATION_DENIED,
        domain=ErrorDomain.NONE,
        message=f"operation forbidden: read only access prevents {procedure.api_name}",
    )


def _incident(procedure: AnyProcedure) -> Outcome:
    incident = secrets.token_hex(4)
    log.exception("A handler failed unexpectedly procedure=%s incident=%s", procedure.name, incident)
    return failure(
        RemoteError(
            code=ErrorCode.INTERNAL_ERROR,
            domain=ErrorDomain.NONE,
            message=f"internal error: {procedure.name} failed unexpectedly; virtocid's log has incident {incident}",
        )
    )


def failure(error: RemoteError) -> Outcome:
    """The outcome that carries ``error``."""
    return Outcome(payload=encode_error(error), failed=True)


def encode_error(error: RemoteError) -> bytes:
    """An error as bytes, whatever text it holds: messages quote programs and files that covirt did not write."""
    try:
        if error.message is not None and len(error.message) <= _MESSAGE_CHARACTERS:
            return _ERROR_CODEC.encode(error)
    except WireError:
        pass
    text = (error.message or "unknown error")[:_MESSAGE_CHARACTERS].replace("\0", "\\0")
    message = text.encode("utf-8", "backslashreplace").decode()
    return _ERROR_CODEC.encode(RemoteError(code=error.code, domain=error.domain, level=error.level, message=message))
