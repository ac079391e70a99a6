# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every way a call can go becomes an answer."""

import logging
from uuid import UUID

import pytest

from covirt.common.errors import Conflict, Error
from covirt.virtocid.dispatch import ClientFacts, Context, Dispatcher, HandlerTable, Outcome, encode_error
from covirt.virtocid.errors import RemoteFailure
from covirt.wire import procedures as proc
from covirt.wire.codec import codec_of
from covirt.wire.framing import QEMU_PROGRAM, REMOTE_PROGRAM, Frame, FrameType
from covirt.wire.protocol import AnyProcedure
from covirt.wire.structs import (
    DomainArgs,
    DomainFlagsArgs,
    HostnameRet,
    ListArgs,
    RemoteDomain,
    RemoteError,
    XmlRet,
)
from covirt.wire.structs_connect import ConnectListAllDomainsRet

WEB = RemoteDomain(name="web", uuid=UUID(int=1), id=3)


class DomainRuns(Conflict):
    template = "domain {name} runs"


def facts(*, readonly: bool = False) -> ClientFacts:
    return ClientFacts(number=1, uid=0, gid=0, pid=1, readonly=readonly, connection_name="oci:///system")


def translate(error: Error) -> RemoteError:
    return RemoteError(code=55, domain=20, message=str(error))


def call(procedure: AnyProcedure, args: object, *, program: int = REMOTE_PROGRAM) -> Frame:
    return Frame(
        program=program,
        procedure=procedure.number,
        type=FrameType.CALL,
        serial=1,
        payload=procedure.args_codec.encode(args),
    )


def error_of(outcome: Outcome) -> RemoteError:
    assert outcome.failed
    return codec_of(RemoteError).decode(outcome.payload)


class Endpoint:
    """Only ever passed on."""

    def start(self, sink: object) -> None: ...

    def on_data(self, data: bytes) -> None: ...

    def on_finish(self) -> None: ...

    def on_abort(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


def make_dispatcher() -> Dispatcher:
    table = HandlerTable()

    @table.handles(proc.CONNECT_GET_HOSTNAME)
    def hostname(_ctx: Context, _args: None) -> HostnameRet:
        return HostnameRet(hostname="here")

    @table.handles(proc.DOMAIN_CREATE)
    def create(_ctx: Context, _args: DomainArgs) -> None:
        raise DomainRuns(name="web")

    @table.handles(proc.DOMAIN_DESTROY)
    def destroy(_ctx: Context, _args: DomainArgs) -> None:
        raise ZeroDivisionError("secret detail")

    @table.handles(proc.DOMAIN_SHUTDOWN)
    def shutdown(_ctx: Context, _args: DomainArgs) -> None:
        raise RemoteFailure(RemoteError(code=84, domain=20, message="not so", str1="x"))

    @table.handles(proc.DOMAIN_GET_XML_DESC)
    def xml(ctx: Context, _args: DomainFlagsArgs) -> XmlRet:
        return XmlRet(xml="public" if ctx.readonly else "secret")

    @table.handles(proc.CONNECT_LIST_ALL_DOMAINS)
    def every(_ctx: Context, _args: ListArgs) -> ConnectListAllDomainsRet:
        return ConnectListAllDomainsRet(domains=(WEB,) * 17000, ret=17000)

    return Dispatcher(handlers=table, translate=translate)


def test_result() -> None:
    outcome = make_dispatcher().perform(call(proc.CONNECT_GET_HOSTNAME, None), facts())
    assert outcome == Outcome(payload=codec_of(HostnameRet).encode(HostnameRet(hostname="here")))


def test_expected_error_is_translated() -> None:
    outcome = make_dispatcher().perform(call(proc.DOMAIN_CREATE, DomainArgs(dom=WEB)), facts())
    assert error_of(outcome) == RemoteError(code=55, domain=20, message="domain web runs")


def test_error_in_libvirts_words_passes_as_it_is() -> None:
    outcome = make_dispatcher().perform(call(proc.DOMAIN_SHUTDOWN, DomainArgs(dom=WEB)), facts())
    assert error_of(outcome) == RemoteError(code=84, domain=20, message="not so", str1="x")


def test_bug_is_an_incident_without_its_details(caplog: pytest.LogCaptureFixture) -> None:
    error = error_of(make_dispatcher().perform(call(proc.DOMAIN_DESTROY, DomainArgs(dom=WEB)), facts()))
    assert error.code == 1
    assert error.message is not None
    assert "secret detail" not in error.message
    incident = error.message.rsplit(" ", 1)[1]
    assert incident in caplog.text
    assert "secret detail" in caplog.text


def test_bug_in_the_translation_is_an_incident_too() -> None:
    table = HandlerTable()
    table.add(proc.DOMAIN_CREATE, lambda _ctx, _args: (_ for _ in ()).throw(DomainRuns(name="web")))
    dispatcher = Dispatcher(handlers=table, translate=lambda _error: [][0])
    assert error_of(dispatcher.perform(call(proc.DOMAIN_CREATE, DomainArgs(dom=WEB)), facts())).code == 1


def test_arguments_that_are_no_arguments() -> None:
    frame = Frame(program=REMOTE_PROGRAM, procedure=proc.DOMAIN_CREATE.number, type=0, payload=b"\xff" * 12)
    assert error_of(make_dispatcher().perform(frame, facts())).code == 39


def test_answer_over_the_limit_is_a_clean_error() -> None:
    frame = call(proc.CONNECT_LIST_ALL_DOMAINS, ListArgs(need_results=1, flags=0))
    error = error_of(make_dispatcher().perform(frame, facts()))
    assert error.code == 1
    assert error.message is not None
    assert "17000" in error.message


def test_unknown_procedures_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    dispatcher = make_dispatcher()
    for _ in range(3):
        error = error_of(dispatcher.perform(call(proc.DOMAIN_REBOOT, DomainFlagsArgs(dom=WEB, flags=0)), facts()))
        assert error.code == 3
        assert error.message == "this function is not supported by the connection driver: virDomainReboot"
    dispatcher.perform(call(proc.DOMAIN_REBOOT, DomainFlagsArgs(dom=WEB, flags=0), program=QEMU_PROGRAM), facts())
    assert [record.message for record in caplog.records] == [
        "A client asked for what is not supported procedure=domain_reboot",
        "A client asked for what is not supported procedure=procedure 27 of program 0x20008087",
    ]


def test_read_only_connection_may_not_change_anything() -> None:
    dispatcher = make_dispatcher()
    error = error_of(dispatcher.perform(call(proc.DOMAIN_CREATE, DomainArgs(dom=WEB)), facts(readonly=True)))
    assert error.code == 29
    assert error.message == "operation forbidden: read only access prevents virDomainCreate"


def test_read_only_connection_may_not_ask_for_secrets() -> None:
    dispatcher = make_dispatcher()
    plain = call(proc.DOMAIN_GET_XML_DESC, DomainFlagsArgs(dom=WEB, flags=0))
    secure = call(proc.DOMAIN_GET_XML_DESC, DomainFlagsArgs(dom=WEB, flags=1))
    assert codec_of(XmlRet).decode(dispatcher.perform(plain, facts(readonly=True)).payload).xml == "public"
    assert codec_of(XmlRet).decode(dispatcher.perform(secure, facts()).payload).xml == "secret"
    assert error_of(dispatcher.perform(secure, facts(readonly=True))).code == 29


@pytest.mark.parametrize("fails", [False, True])
def test_stream_is_handed_on_with_the_outcome(*, fails: bool) -> None:
    endpoint = Endpoint()
    table = HandlerTable()

    def open_console(ctx: Context, _args: object) -> None:
        ctx.open_stream(endpoint)
        if fails:
            raise DomainRuns(name="web")

    table.add(proc.DOMAIN_OPEN_CONSOLE, open_console)
    args = proc.DOMAIN_OPEN_CONSOLE.args(dom=WEB, dev_name=None, flags=0)
    outcome = Dispatcher(handlers=table, translate=translate).perform(call(proc.DOMAIN_OPEN_CONSOLE, args), facts())
    assert outcome.failed is fails
    assert outcome.endpoint is endpoint


@pytest.mark.parametrize("message", ["with\0nul", "half \ud800 surrogate", "x" * 5_000_000, "", None])
def test_every_message_can_be_sent(message: str | None) -> None:
    sent = codec_of(RemoteError).decode(encode_error(RemoteError(code=9, domain=20, message=message)))
    assert sent.code == 9
    assert sent.message is not None
    assert len(sent.message) <= 65536


def test_two_handlers_for_one_procedure_are_a_mistake() -> None:
    table = HandlerTable()
    table.add(proc.CONNECT_GET_HOSTNAME, lambda _ctx, _args: HostnameRet(hostname="a"))
    with pytest.raises(AssertionError):
        table.add(proc.CONNECT_GET_HOSTNAME, lambda _ctx, _args: HostnameRet(hostname="b"))
    assert len(table) == 1
