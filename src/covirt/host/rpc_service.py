# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Calls from the wire to the dispatcher, and its answers back."""

from covirt.host.verbs.dispatch import CallContext, Dispatcher
from covirt.hostapi.errors import CallRefused
from covirt.rpc.jsonrpc import Answer, Request


class DispatchedCalls:
    """A covirt.rpc.server.Service."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def is_inline(self, method: str) -> bool:
        return self._dispatcher.is_inline(method)

    def is_quick(self, method: str) -> bool:
        return self._dispatcher.is_quick(method)

    def answer(self, request: Request, *, client: str, flow_id: str) -> Answer:
        context = CallContext(client=client, flow_id=flow_id)
        try:
            return Answer(id=request.id, result=self._dispatcher.call(request.method, request.params, context))
        except CallRefused as refused:
            return Answer(id=request.id, code=refused.code, message=refused.message)
