# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every struct of the table round-trips, and no bytes make its decoder raise anything but the wire's own error."""

import contextlib
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covirt.wire import procedures as proc
from covirt.wire import (
    procedures_absent,
    procedures_agent,
    procedures_devices,
    procedures_secret,
    procedures_storage,
    procedures_tuning,
)
from covirt.wire.codec import codec_of, derive
from covirt.wire.errors import WireError
from covirt.wire.protocol import Access, AnyProcedure, Procedure, api_name
from covirt.wire.structs import DomainFlagsArgs, RemoteDomain, RemoteError
from covirt.wire.structs_domain import DomainInterfaceAddressesArgs
from tests.support.wire_strategies import values_of
from tests.unit.wire.test_xdr import WEB

STRUCTS = sorted(
    {procedure.args for procedure in proc.PROCEDURES.values()}
    | {procedure.ret for procedure in proc.PROCEDURES.values()}
    | {message.body for message in proc.MESSAGES.values()}
    | {RemoteError},
    key=lambda one: str(one.__name__),
)
few = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
any_struct = st.sampled_from(STRUCTS)


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda one: one.__name__)
@few
@given(data=st.data())
def test_round_trip(struct: type[Any], data: st.DataObject) -> None:
    codec = codec_of(struct)
    value = data.draw(values_of(struct))
    encoded = codec.encode(value)
    assert len(encoded) % 4 == 0
    assert len(encoded) >= codec.minimum_bytes
    assert codec.decode(encoded) == value
    assert codec.decode(encoded + b"tail") == value


@many
@given(struct=any_struct, noise=st.binary(max_size=120))
def test_noise(struct: type[Any], noise: bytes) -> None:
    with contextlib.suppress(WireError):
        codec_of(struct).decode(noise)


@many
@given(struct=any_struct, data=st.data())
def test_damage(struct: type[Any], data: st.DataObject) -> None:
    codec = codec_of(struct)
    encoded = bytearray(codec.encode(data.draw(values_of(struct))))
    for _ in range(data.draw(st.integers(1, 4))):
        if encoded:
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(encoded)))
    try:
        value = codec.decode(bytes(encoded[:cut]))
    except WireError:
        return
    codec.encode(value)  # what was accepted can also be sent


def test_numbers_and_names_are_unique() -> None:
    assert len({procedure.name for procedure in proc.PROCEDURES.values()}) == len(proc.PROCEDURES)
    modules = (
        proc,
        procedures_absent,
        procedures_agent,
        procedures_devices,
        procedures_secret,
        procedures_storage,
        procedures_tuning,
    )
    constants = [value for module in modules for value in vars(module).values() if isinstance(value, Procedure)]
    assert len(constants) == len(proc.PROCEDURES)


@pytest.mark.parametrize(
    "procedure",
    [
        proc.DOMAIN_CREATE,
        proc.DOMAIN_CREATE_XML,
        proc.DOMAIN_DEFINE_XML,
        proc.DOMAIN_DESTROY,
        proc.DOMAIN_SHUTDOWN,
        proc.DOMAIN_REBOOT,
        proc.DOMAIN_UNDEFINE_FLAGS,
        proc.DOMAIN_SET_METADATA,
        proc.DOMAIN_OPEN_CONSOLE,
        proc.DOMAIN_SEND_PROCESS_SIGNAL,
        proc.DOMAIN_ATTACH_DEVICE_FLAGS,
        proc.DOMAIN_SET_SCHEDULER_PARAMETERS,
    ],
    ids=lambda one: one.name,
)
def test_what_changes_something_needs_a_writable_connection(procedure: AnyProcedure) -> None:
    assert procedure.access is Access.WRITE


def test_whatever_sounds_like_a_change_is_one() -> None:
    changes = re.compile(r"_(create|destroy|set|define|undefine|attach|detach|send|rename|suspend|resume)(_|$)")
    for procedure in proc.PROCEDURES.values():
        if changes.search(procedure.name):
            assert procedure.access is Access.WRITE, procedure.name


def test_secrets_are_not_read_over_a_read_only_connection() -> None:
    read = proc.DOMAIN_GET_XML_DESC
    assert not read.needs_write(DomainFlagsArgs(dom=WEB, flags=2))
    assert read.needs_write(DomainFlagsArgs(dom=WEB, flags=1))
    assert read.needs_write(DomainFlagsArgs(dom=WEB, flags=8))
    addresses = proc.DOMAIN_INTERFACE_ADDRESSES
    assert not addresses.needs_write(DomainInterfaceAddressesArgs(dom=WEB, source=0, flags=0))
    assert addresses.needs_write(DomainInterfaceAddressesArgs(dom=WEB, source=1, flags=0))


def test_api_names_are_those_people_search_for() -> None:
    assert proc.DOMAIN_GET_XML_DESC.api_name == "virDomainGetXMLDesc"
    assert proc.DOMAIN_LOOKUP_BY_UUID.api_name == "virDomainLookupByUUID"
    assert api_name("connect_get_all_domain_stats") == "virConnectGetAllDomainStats"


def test_annotation_without_a_place_on_the_wire_is_a_mistake() -> None:
    for annotation in (int, str, list[int], tuple[RemoteDomain, ...]):
        with pytest.raises(TypeError, match="no place on the wire"):
            derive(annotation)


def test_what_may_take_long_gets_no_reserved_worker() -> None:
    flags = [codec_of(DomainFlagsArgs).encode(DomainFlagsArgs(dom=WEB, flags=value)) for value in (0, 1, 3)]
    assert [proc.DOMAIN_DESTROY_FLAGS.is_quick(payload) for payload in flags] == [True, False, False]
    assert proc.DOMAIN_DESTROY_FLAGS.is_quick(b"")
    assert proc.DOMAIN_DESTROY.is_quick(b"")
    assert not proc.DOMAIN_DEFINE_XML.is_quick(b"")
    assert not proc.DOMAIN_DEFINE_XML_FLAGS.is_quick(b"")
    assert not proc.DOMAIN_CREATE.is_quick(b"")
