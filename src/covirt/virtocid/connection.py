# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What libvirt's protocol keeps per connection, and the procedures about nothing else, answered in the loop."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar
from uuid import UUID

from covirt.virtocid.dispatch import ClientFacts
from covirt.virtocid.errors import RemoteFailure
from covirt.virtocid.events import Registration, Registrations
from covirt.virtocid.settings import ServerSettings
from covirt.wire import procedures as proc
from covirt.wire.constants import EVENT_ID_LAST, AuthType, ConnectFlag, ErrorCode, ErrorDomain, Feature
from covirt.wire.framing import REMOTE_PROGRAM, Frame
from covirt.wire.protocol import AnyProcedure, Procedure
from covirt.wire.structs import CallbackIdArgs, CallbackIdRet, RemoteError
from covirt.wire.structs_connect import (
    AuthListRet,
    AuthPolkitRet,
    ConnectDomainEventRegisterAnyArgs,
    ConnectGetUriRet,
    ConnectIsSecureRet,
    ConnectNetworkEventRegisterAnyArgs,
    ConnectNodeDeviceEventRegisterAnyArgs,
    ConnectOpenArgs,
    ConnectSecretEventRegisterAnyArgs,
    ConnectStoragePoolEventRegisterAnyArgs,
    ConnectSupportsFeatureArgs,
    ConnectSupportsFeatureRet,
)

A = TypeVar("A")
R = TypeVar("R")

# What a client may call before CONNECT_OPEN.
_UNOPENED: Final = frozenset(
    procedure.number
    for procedure in (
        proc.AUTH_LIST,
        proc.AUTH_POLKIT,
        proc.CONNECT_OPEN,
        proc.CONNECT_CLOSE,
        proc.CONNECT_SUPPORTS_FEATURE,
        proc.CONNECT_GET_URI,
    )
)


class Connection:
    """State of one client: who it is, what it opened, and which events it wants."""

    def __init__(self, *, facts: ClientFacts, settings: ServerSettings) -> None:
        self.facts = facts
        self.opened = False
        self.keepalive_wanted = False
        self.close_callback = False
        self.registrations = Registrations(
            limit=settings.max_readonly_registrations_per_client
            if facts.unprivileged
            else settings.max_registrations_per_client
        )
        self._names = settings.connection_names

    @property
    def label(self) -> str:
        return f"{self.facts.number}/uid={self.facts.uid}/pid={self.facts.pid}"

    def may_call(self, frame: Frame) -> bool:
        return self.opened or (frame.program == REMOTE_PROGRAM and frame.procedure in _UNOPENED)

    def auth_list(self, _args: None) -> AuthListRet:
        # The socket's mode and group have already let this client in.
        return AuthListRet(types=(AuthType.NONE,))

    def auth_polkit(self, _args: None) -> AuthPolkitRet:
        return AuthPolkitRet(complete=1)

    def supports_feature(self, args: ConnectSupportsFeatureArgs) -> ConnectSupportsFeatureRet:
        if args.feature == Feature.PROGRAM_KEEPALIVE:
            self.keepalive_wanted = True  # only clients that answer pings ask
        return ConnectSupportsFeatureRet(supported=int(args.feature in set(Feature)))

    def open(self, args: ConnectOpenArgs) -> None:
        if self.opened:
            raise _refused(ErrorCode.OPERATION_INVALID, "the connection is already open")
        name = args.name or ""
        if name.partition("?")[0] not in self._names:
            raise _refused(
                ErrorCode.NO_CONNECT, f"no connection driver available for {name}; virtocid serves {self._names[0]}"
            )
        readonly = self.facts.readonly or bool(args.flags & ConnectFlag.READ_ONLY)
        self.facts = replace(self.facts, readonly=readonly, connection_name=name)
        self.opened = True

    def close(self, _args: None) -> None:
        self.opened = False

    def get_uri(self, _args: None) -> ConnectGetUriRet:
        return ConnectGetUriRet(uri=self.facts.connection_name or self._names[0])

    def is_secure(self, _args: None) -> ConnectIsSecureRet:
        return ConnectIsSecureRet(secure=1)  # a unix socket does not leave the host

    def register_close_callback(self, _args: None) -> None:
        if self.close_callback:
            raise _refused(ErrorCode.OPERATION_INVALID, "a close callback is already registered")
        self.close_callback = True

    def unregister_close_callback(self, _args: None) -> None:
        if not self.close_callback:
            raise _refused(ErrorCode.OPERATION_INVALID, "no close callback is registered")
        self.close_callback = False

    def register_domain_event(self, args: ConnectDomainEventRegisterAnyArgs) -> CallbackIdRet:
        if not 0 <= args.event_id < EVENT_ID_LAST:
            raise _refused(ErrorCode.INVALID_ARG, f"unsupported event ID {args.event_id}")
        return self._register("domain", args.event_id, args.dom.uuid if args.dom is not None else None)

    def register_network_event(self, args: ConnectNetworkEventRegisterAnyArgs) -> CallbackIdRet:
        return self._register("network", args.event_id)

    def register_storage_pool_event(self, args: ConnectStoragePoolEventRegisterAnyArgs) -> CallbackIdRet:
        return self._register("storage_pool", args.event_id)

    def register_node_device_event(self, args: ConnectNodeDeviceEventRegisterAnyArgs) -> CallbackIdRet:
        return self._register("node_device", args.event_id)

    def register_secret_event(self, args: ConnectSecretEventRegisterAnyArgs) -> CallbackIdRet:
        return self._register("secret", args.event_id, args.secret.uuid if args.secret is not None else None)

    def deregister_event(self, kind: str, args: CallbackIdArgs) -> None:
        if not self.registrations.remove(args.callback_id, kind=kind):
            raise _refused(ErrorCode.INVALID_ARG, f"{kind} event callback {args.callback_id} not registered")

    def _register(self, kind: str, event_id: int, uuid: UUID | None = None) -> CallbackIdRet:
        callback_id = self.registrations.add(Registration(kind=kind, event_id=event_id, uuid=uuid))
        if callback_id is None:
            raise _refused(ErrorCode.OPERATION_FAILED, "too many event callbacks; deregister some first")
        return CallbackIdRet(callback_id=callback_id)


def _refused(code: ErrorCode, message: str) -> RemoteFailure:
    return RemoteFailure(RemoteError(code=code, domain=ErrorDomain.RPC, message=message))


SessionHandler = Callable[[Connection, Any], Any]


def _entry(
    procedure: Procedure[A, R], run: Callable[[Connection, A], R]
) -> tuple[int, tuple[AnyProcedure, SessionHandler]]:
    return procedure.number, (procedure, run)


def _deregister(kind: str) -> Callable[[Connection, CallbackIdArgs], None]:
    return lambda connection, args: connection.deregister_event(kind, args)


SESSION_PROCEDURES: Final[dict[int, tuple[AnyProcedure, SessionHandler]]] = dict(
    [
        _entry(proc.AUTH_LIST, Connection.auth_list),
        _entry(proc.AUTH_POLKIT, Connection.auth_polkit),
        _entry(proc.CONNECT_OPEN, Connection.open),
        _entry(proc.CONNECT_CLOSE, Connection.close),
        _entry(proc.CONNECT_SUPPORTS_FEATURE, Connection.supports_feature),
        _entry(proc.CONNECT_GET_URI, Connection.get_uri),
        _entry(proc.CONNECT_IS_SECURE, Connection.is_secure),
        _entry(proc.CONNECT_REGISTER_CLOSE_CALLBACK, Connection.register_close_callback),
        _entry(proc.CONNECT_UNREGISTER_CLOSE_CALLBACK, Connection.unregister_close_callback),
        _entry(proc.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, Connection.register_domain_event),
        _entry(proc.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY, _deregister("domain")),
        _entry(proc.CONNECT_NETWORK_EVENT_REGISTER_ANY, Connection.register_network_event),
        _entry(proc.CONNECT_NETWORK_EVENT_DEREGISTER_ANY, _deregister("network")),
        _entry(proc.CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY, Connection.register_storage_pool_event),
        _entry(proc.CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY, _deregister("storage_pool")),
        _entry(proc.CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY, Connection.register_node_device_event),
        _entry(proc.CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY, _deregister("node_device")),
        _entry(proc.CONNECT_SECRET_EVENT_REGISTER_ANY, Connection.register_secret_event),
        _entry(proc.CONNECT_SECRET_EVENT_DEREGISTER_ANY, _deregister("secret")),
    ]
)
