# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Calls to hosts: what the rest of the engine sees of them, and the connection to one."""

import ssl
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from covirt.common.errors import Error
from covirt.engine.hosts.errors import HostRefused, HostUncertain, HostUnreachable
from covirt.rpc.client import ClientSettings, RpcClient, StateListener
from covirt.rpc.errors import CallFailed, PeerLost, PeerSilent, PeerUnreachable
from covirt.rpc.jsonrpc import Json

EVENTS: Final = "jms.queue.events"  # where hosts tell what happens, Vdsm's word

# The host's id, the event's topic as in |jobs|status|ID, and its parameters.
HostListener = Callable[[str, str, Mapping[str, Json]], None]
# Given a host's id before it is up: after its activation, and after each of its or the engine's restarts.
Preparation = Callable[[str], None]


class Hosts(Protocol):
    """What hosts can be asked for. Threads may share it."""

    def call(
        self,
        host_id: str,
        verb: str,
        params: Mapping[str, Json] | None = None,
        *,
        flow_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Json:
        """A verb's result (docs/host-api.md), also of a host that is not up but answers. Raises HostRefused,
        HostUnreachable, HostUncertain, HostRemoved."""
        ...

    def is_up(self, host_id: str) -> bool:
        """Whether it has status up, and is connected at this moment."""
        ...

    def is_connected(self, host_id: str) -> bool:
        """Whether there is a connection at this moment, whatever the host's status is."""
        ...

    def refresh(self, host_id: str) -> None:
        """Ask it for everything now, and return when that is written down. Raises as call does."""
        ...

    def look(self) -> None:
        """Somebody has added, changed or removed a host, or its status: follow that now. Does not wait."""
        ...

    def add_listener(self, listener: HostListener) -> None:
        """Have all events of all hosts. It is called in a thread of the host's connection, in order, and must not
        wait; after a lost connection events are missing."""
        ...

    def add_preparation(self, preparation: Preparation) -> None:
        """Have it called before a host becomes up. When it raises an Error, the host becomes non_operational with
        that reason, and it is called again with the next poll."""
        ...

    def add_release(self, release: Preparation) -> None:
        """Have it called before a host goes to maintenance, to undo what preparations did; it may be called again
        after a kill of the engine. When it raises, the host stays active."""
        ...

    def release(self, host_id: str) -> None:
        """Call all releases, the last one first. Raises what they raise."""
        ...

    def prepare_again(self) -> None:
        """Have all hosts that are up prepared once more: what one of them did has to be done by another one."""
        ...


class HostConnection:
    """To one host, made again whenever it is lost; ``name`` is what errors call the host."""

    def __init__(
        self,
        name: str,
        address: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        on_state: StateListener,
        on_event: Callable[[str, Mapping[str, Json]], None],
        settings: ClientSettings,
    ) -> None:
        self.name = name
        self._client = RpcClient(address, port, tls=tls, on_state=on_state, settings=settings)
        self._client.subscribe(EVENTS, lambda topic, params: on_event(topic, _mapping(params)))

    def start(self) -> None:
        self._client.start()

    def stop(self) -> None:
        self._client.stop()

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected

    @property
    def obstacle(self) -> str:
        """Why there is no connection, as the last attempt had it."""
        try:
            self._client.wait_connected(0)
        except PeerUnreachable as error:
            return str(error.fields["reason"])
        return ""

    def call(
        self, verb: str, params: Mapping[str, Json] | None, *, flow_id: str = "", timeout_seconds: float | None = None
    ) -> Json:
        """As Hosts.call."""
        try:
            return self._client.call(verb, params or {}, flow_id=flow_id, timeout_seconds=timeout_seconds)
        except CallFailed as error:
            raise HostRefused(host=self.name, verb=verb, code=error.code, text=error.text) from error
        except PeerUnreachable as error:
            raise HostUnreachable(host=self.name, verb=verb, reason=_reason(error)) from error
        except PeerSilent as error:
            raise HostUncertain(host=self.name, verb=verb, reason=f"it is silent for {_seconds(error)} s") from error
        except PeerLost as error:
            raise HostUncertain(host=self.name, verb=verb, reason=_reason(error)) from error


def _mapping(params: Json) -> Mapping[str, Json]:
    return params if isinstance(params, Mapping) else {}


def _reason(error: Error) -> str:
    return str(error.fields["reason"])


def _seconds(error: Error) -> str:
    return f"{error.fields['seconds']:g}"
