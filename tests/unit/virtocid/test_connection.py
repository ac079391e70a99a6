# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a connection may ask for, and when."""

from uuid import UUID

import pytest

from covirt.virtocid.connection import SESSION_PROCEDURES, Connection
from covirt.virtocid.dispatch import ClientFacts
from covirt.virtocid.errors import RemoteFailure
from covirt.virtocid.settings import ServerSettings
from covirt.wire import procedures as proc
from covirt.wire.framing import QEMU_PROGRAM, REMOTE_PROGRAM, Frame
from covirt.wire.structs import CallbackIdArgs, RemoteDomain
from covirt.wire.structs_connect import (
    ConnectDomainEventRegisterAnyArgs,
    ConnectNetworkEventRegisterAnyArgs,
    ConnectOpenArgs,
    ConnectSupportsFeatureArgs,
)


def make_connection(*, readonly: bool = False, settings: ServerSettings | None = None) -> Connection:
    facts = ClientFacts(number=1, uid=0, gid=0, pid=1, readonly=readonly, connection_name="")
    return Connection(facts=facts, settings=settings or ServerSettings())


@pytest.mark.parametrize("name", ["oci:///system", "oci:///", "", None, "oci:///system?tenant=7"])
def test_names_of_our_own_are_opened(name: str | None) -> None:
    connection = make_connection()
    connection.open(ConnectOpenArgs(name=name, flags=0))
    assert connection.opened
    assert not connection.facts.readonly
    assert connection.facts.connection_name == (name or "")


@pytest.mark.parametrize("name", ["qemu:///system", "oci:///session", "oci:///systemx", "lxc:///", "?"])
def test_other_names_are_refused(name: str) -> None:
    connection = make_connection()
    if name == "?":
        connection.open(ConnectOpenArgs(name=name, flags=0))  # the empty name with parameters
        return
    with pytest.raises(RemoteFailure) as caught:
        connection.open(ConnectOpenArgs(name=name, flags=0))
    assert caught.value.error.code == 5
    assert not connection.opened


def test_further_names_by_configuration() -> None:
    connection = make_connection(settings=ServerSettings(connection_names=("oci:///system", "qemu:///system")))
    connection.open(ConnectOpenArgs(name="qemu:///system", flags=0))
    assert connection.opened


def test_read_only_by_flag_and_by_socket() -> None:
    by_flag = make_connection()
    by_flag.open(ConnectOpenArgs(name="", flags=1))
    by_socket = make_connection(readonly=True)
    by_socket.open(ConnectOpenArgs(name="", flags=0))
    assert by_flag.facts.readonly
    assert by_socket.facts.readonly


def test_opening_twice_does_not_lift_read_only() -> None:
    connection = make_connection()
    connection.open(ConnectOpenArgs(name="", flags=1))
    with pytest.raises(RemoteFailure):
        connection.open(ConnectOpenArgs(name="", flags=0))
    assert connection.facts.readonly


def test_close_and_open_do_not_lift_read_only_either() -> None:
    connection = make_connection()
    connection.open(ConnectOpenArgs(name="", flags=1))
    connection.close(None)
    connection.open(ConnectOpenArgs(name="", flags=0))
    assert connection.facts.readonly


def test_little_may_be_called_before_open() -> None:
    connection = make_connection()
    allowed = {
        procedure.number
        for procedure in proc.PROCEDURES.values()
        if connection.may_call(Frame(program=REMOTE_PROGRAM, procedure=procedure.number, type=0))
    }
    assert allowed == {66, 70, 1, 2, 60, 110}
    assert not connection.may_call(Frame(program=QEMU_PROGRAM, procedure=1, type=0))
    connection.open(ConnectOpenArgs(name="", flags=0))
    assert connection.may_call(Frame(program=QEMU_PROGRAM, procedure=1, type=0))


def test_features() -> None:
    connection = make_connection()
    supported = {
        feature
        for feature in range(20)
        if connection.supports_feature(ConnectSupportsFeatureArgs(feature=feature)).supported
    }
    assert supported == {9, 10, 14, 15}
    assert connection.keepalive_wanted


def test_strangers_have_room_for_one_registration_of_each_kind_and_a_few_more() -> None:
    facts = ClientFacts(number=1, uid=65534, gid=0, pid=1, readonly=True, connection_name="", unprivileged=True)
    connection = Connection(facts=facts, settings=ServerSettings())
    everything = ConnectDomainEventRegisterAnyArgs(event_id=0, dom=None)
    for _ in range(64):
        connection.register_domain_event(everything)
    with pytest.raises(RemoteFailure, match="too many event callbacks"):
        connection.register_domain_event(everything)


def test_event_registrations() -> None:
    connection = make_connection(settings=ServerSettings(max_registrations_per_client=30))
    ids = [
        connection.register_domain_event(ConnectDomainEventRegisterAnyArgs(event_id=event_id, dom=None)).callback_id
        for event_id in range(27)
    ]
    assert len(set(ids)) == 27
    web = RemoteDomain(name="web", uuid=UUID(int=1), id=1)
    connection.register_domain_event(ConnectDomainEventRegisterAnyArgs(event_id=0, dom=web))
    network = connection.register_network_event(ConnectNetworkEventRegisterAnyArgs(event_id=0, net=None))
    for wrong in (-1, 27):
        with pytest.raises(RemoteFailure):
            connection.register_domain_event(ConnectDomainEventRegisterAnyArgs(event_id=wrong, dom=None))
    with pytest.raises(RemoteFailure):
        connection.deregister_event("domain", CallbackIdArgs(callback_id=network.callback_id))
    connection.deregister_event("network", CallbackIdArgs(callback_id=network.callback_id))
    connection.register_domain_event(ConnectDomainEventRegisterAnyArgs(event_id=0, dom=None))
    connection.register_domain_event(ConnectDomainEventRegisterAnyArgs(event_id=0, dom=None))
    with pytest.raises(RemoteFailure, match="too many"):
        connection.register_domain_event(ConnectDomainEventRegisterAnyArgs(event_id=0, dom=None))


def test_close_callback_is_registered_once() -> None:
    connection = make_connection()
    with pytest.raises(RemoteFailure):
        connection.unregister_close_callback(None)
    connection.register_close_callback(None)
    with pytest.raises(RemoteFailure):
        connection.register_close_callback(None)
    connection.unregister_close_callback(None)


def test_everything_a_session_answers_is_allowed_over_a_read_only_connection() -> None:
    assert all(procedure.access == "read" for procedure, _ in SESSION_PROCEDURES.values())
