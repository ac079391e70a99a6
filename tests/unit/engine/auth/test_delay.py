# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who guesses has to wait."""

import pytest

from covirt.engine.auth.delay import Delay, Patience
from covirt.engine.auth.errors import BadCredentials, TooManyFailures
from tests.unit.engine.auth.conftest import ADDRESS, Service


def _fail(service: Service, times: int, *, address: str = ADDRESS) -> None:
    for _ in range(times):
        with pytest.raises(BadCredentials):
            service.log_in("wrong", address=address)


def _count(service: Service, *, user: str, address: str, failures: int) -> None:
    with service.store.write() as session:
        for _ in range(failures):
            Delay().failed(session, user=user, address=address, now=service.clock())


def _waits(service: Service, *, user: str, address: str) -> int:
    with service.store.read() as session:
        try:
            Delay().check(session, user=user, address=address, now=service.clock())
        except TooManyFailures as error:
            return int(str(error.fields["seconds"]))
    return 0


def test_the_wait_doubles_up_to_its_limit() -> None:
    patience = Patience(free=3, longest_seconds=10.0)
    assert [patience.wait_seconds(count) for count in (0, 2, 3, 4, 5, 6, 7, 10_000)] == [0, 0, 1, 2, 4, 8, 10, 10]


def test_the_right_password_waits_too_and_then_forgets_all(service: Service) -> None:
    _fail(service, 5)
    with pytest.raises(TooManyFailures):
        service.log_in()
    service.clock.pass_time(seconds=1)
    service.log_in()
    _fail(service, 4)
    service.log_in()


def test_a_refused_try_is_not_counted(service: Service) -> None:
    _fail(service, 5)
    for _ in range(20):
        with pytest.raises(TooManyFailures):
            service.log_in("wrong")
    service.clock.pass_time(seconds=1)
    service.log_in()


def test_a_user_is_waited_for_from_everywhere_but_never_kept_out(service: Service) -> None:
    for number in range(200):
        _count(service, user="cook@internal", address=f"198.51.100.{number}", failures=1)
    assert _waits(service, user="cook@internal", address="203.0.113.1") == 30
    service.clock.pass_time(seconds=30)
    service.log_in(address="203.0.113.1")


def test_an_address_is_waited_for_whatever_the_name(service: Service) -> None:
    for number in range(40):
        _count(service, user=f"guess{number}@internal", address=ADDRESS, failures=1)
    assert _waits(service, user="cook@internal", address=ADDRESS) == 900
    assert _waits(service, user="cook@internal", address="192.0.2.8") == 0


def test_a_network_of_ipv6_is_one_address(service: Service) -> None:
    for number in range(12):
        _count(service, user=f"guess{number}@internal", address=f"2001:db8::{number}", failures=1)
    assert _waits(service, user="cook@internal", address="2001:db8::ffff") > 0
    assert _waits(service, user="cook@internal", address="2001:db8:0:1::1") == 0


def test_an_address_of_ipv4_is_the_same_in_both_forms(service: Service) -> None:
    _count(service, user="a@internal", address="::ffff:192.0.2.9", failures=12)
    assert _waits(service, user="cook@internal", address="192.0.2.9") > 0


def test_all_is_forgotten_after_an_hour(service: Service) -> None:
    _count(service, user="cook@internal", address=ADDRESS, failures=50)
    service.clock.pass_time(hours=1)
    service.log_in()


def test_of_many_tries_at_the_same_moment_one_gets_through(service: Service) -> None:
    _count(service, user="cook@internal", address=ADDRESS, failures=6)
    service.clock.pass_time(seconds=10)
    whom = {"user": "cook@internal", "address": ADDRESS}
    with service.store.write() as session:
        assert Delay().check(session, **whom, now=service.clock())
        Delay().claim(session, **whom, now=service.clock())
        with pytest.raises(TooManyFailures):
            Delay().claim(session, **whom, now=service.clock())
    service.clock.pass_time(seconds=10)
    service.log_in()
